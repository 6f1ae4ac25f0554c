-- How well an ApiKeyRevocation is, in Argo CD's words: whether all that it means is dead and every live verifier knows.
local metadata, status = obj.metadata, obj.status or {}
local complete
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Complete" then
    complete = condition
  end
end

if complete == nil or status.observedGeneration == nil or status.observedGeneration < (metadata.generation or 0) then
  return { status = "Progressing", message = "Waiting for Keyturn to end the keys" }
end

local message = complete.message
if message == nil or message == "" then
  message = complete.reason or "See kubectl describe"
end

if complete.status == "True" then
  return { status = "Healthy", message = message }
end

return { status = "Progressing", message = message }
