-- Asks Keyturn's verifier about a request, with HAProxy's own HTTP client, which does not block its other requests.
-- In haproxy.cfg: lua-load-per-thread <this file>, then in a frontend: http-request lua.keyturn <query of /verify>
-- Everything but a 200 from the verifier ends the request here: no answer within TIMEOUT_MS is a 503.

local VERIFIER = "http://keyturn-verifier.keyturn-system.svc.cluster.local:8080"
local TIMEOUT_MS = 500

local KEYS = { "authorization", "x-api-key" }
local IDENTITY = { "x-keyturn-key-id", "x-keyturn-apikey", "x-keyturn-scopes", "x-keyturn-plan" }
local REFUSALS = { [401] = true, [403] = true, [429] = true }
local LIMITS = { "ratelimit", "ratelimit-policy" }
local TO_CLIENT = { "content-type", "cache-control", "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy" }

local function all_of(values)
    local list = {}
    for place = 0, #values do
        list[#list + 1] = values[place]
    end
    return list
end

local function question(txn)
    local sent, asked = txn.http:req_get_headers(), { ["x-forwarded-for"] = { txn.sf:src() } }
    for _, name in ipairs(KEYS) do
        if sent[name] ~= nil then
            asked[name] = all_of(sent[name])
        end
    end
    return asked
end

local function refuse(txn, answer)
    local reply = txn:reply({ status = answer.status })
    for _, name in ipairs(TO_CLIENT) do
        for _, value in ipairs(answer.headers[name] and all_of(answer.headers[name]) or {}) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(answer.body or "")
    txn:done(reply)
end

local function keyturn(txn, asks)
    local answer = core.httpclient():get({ url = VERIFIER .. "/verify?" .. asks, headers = question(txn), timeout = TIMEOUT_MS })
    if answer == nil or (answer.status ~= 200 and not REFUSALS[answer.status]) then
        answer = { status = 503, headers = {}, body = "" }
    end
    if answer.status ~= 200 then
        return refuse(txn, answer)
    end
    for _, name in ipairs(IDENTITY) do
        txn.http:req_set_header(name, answer.headers[name] and answer.headers[name][0] or "")
    end
    for _, name in ipairs(LIMITS) do
        if answer.headers[name] ~= nil then
            txn:set_var("txn." .. name:gsub("-", "_"), answer.headers[name][0])
        end
    end
    txn:set_var("txn.keyturn", "yes")
end

core.register_action("keyturn", { "http-req" }, keyturn, 1)
