-- Rotate once: what `keyturn rotate` writes. Git does not know the annotation, so the Application stays Synced.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["keyturn.dev/rotate-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
