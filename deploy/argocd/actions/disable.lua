-- Refuse the key everywhere until it is enabled. Where Git writes spec.disabled, Git puts it back.
obj.spec = obj.spec or {}
obj.spec.disabled = true
return obj
