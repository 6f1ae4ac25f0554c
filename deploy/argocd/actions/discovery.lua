-- Which actions Argo CD offers on an ApiKey. What cannot be done is left out: `disabled` would show it greyed.
local spec, annotations = obj.spec or {}, obj.metadata.annotations or {}
local actions = {}
if annotations["keyturn.dev/paused"] ~= "true" then
  actions["rotate"] = { ["disabled"] = false }
end
if spec.disabled == true then
  actions["enable"] = { ["disabled"] = false }
else
  actions["disable"] = { ["disabled"] = false }
end
return actions
