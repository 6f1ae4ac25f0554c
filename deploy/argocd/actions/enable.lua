-- Accept the key again.
if obj.spec ~= nil then
  obj.spec.disabled = nil
end
return obj
