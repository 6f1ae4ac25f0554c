-- How well an ApiKey is, in Argo CD's words. Each situation has a file in testdata/; docs/how-to/gitops-with-argo-cd.md has the table.
local metadata, status = obj.metadata, obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local function message_of(kind, otherwise)
  local text = conditions[kind] and conditions[kind].message
  if text == nil or text == "" then
    return otherwise
  end
  return text
end

-- First: while it is paused nobody looks, so whatever else stands there may be old.
if (metadata.annotations or {})["keyturn.dev/paused"] == "true" then
  return { status = "Suspended", message = message_of("Paused", "The annotation keyturn.dev/paused stops all work on this ApiKey") }
end

-- A status that speaks of an older spec says nothing about this one, not even that it failed.
if status.observedGeneration == nil or status.observedGeneration < (metadata.generation or 0) then
  return { status = "Progressing", message = message_of("Reconciling", "Waiting for Keyturn to act on this spec") }
end

if is_true("Stalled") then
  return { status = "Degraded", message = message_of("Stalled", "A person must act; see kubectl describe") }
end

if is_true("Ready") then
  if is_true("Disabled") then
    return { status = "Suspended", message = message_of("Disabled", "No version of the key is accepted") }
  end
  -- Two versions during a rotation, and a rollout that takes its time, are a healthy key's life.
  return { status = "Healthy", message = message_of("Ready", "The key is in force") }
end

-- Nobody's work is under way: the API's owner has to consent first.
if conditions["Approved"] ~= nil and conditions["Approved"].reason == "PendingApproval" then
  return { status = "Suspended", message = message_of("Approved", "Waiting for the API's owner") }
end

-- The key is made and encrypted: a person has to take it.
if conditions["Ready"] ~= nil and conditions["Ready"].reason == "AwaitingReceipt" then
  return { status = "Suspended", message = message_of("Ready", "The key waits for its person") }
end

return { status = "Progressing", message = message_of("Reconciling", message_of("Ready", "The key is being issued")) }
