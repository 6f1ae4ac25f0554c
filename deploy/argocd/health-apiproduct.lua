-- How well an ApiProduct is, in Argo CD's words: whether ApiKeys may refer to it. How they stand is their own health.
local metadata, status = obj.metadata, obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function message_of(kind, otherwise)
  local text = conditions[kind] and conditions[kind].message
  if text == nil or text == "" then
    return otherwise
  end
  return text
end

if status.observedGeneration == nil or status.observedGeneration < (metadata.generation or 0) then
  return { status = "Progressing", message = "Waiting for Keyturn to act on this spec" }
end

if conditions["Stalled"] ~= nil and conditions["Stalled"].status == "True" then
  return { status = "Degraded", message = message_of("Stalled", "A person must act; see kubectl describe") }
end

if conditions["Ready"] ~= nil and conditions["Ready"].status == "True" then
  return { status = "Healthy", message = message_of("Ready", "ApiKeys may refer to it") }
end

return { status = "Progressing", message = message_of("Ready", "Waiting for Keyturn") }
