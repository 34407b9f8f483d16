local field, stale, known = arg(1), int(2), int(3)
local written = redis.call('ZSCORE', KEYS[2], field)
if not written then return {} end
local age = now - tonumber(written)
if age > stale or age < -1000000 then return {} end
if age < 0 then age = 0 end
if known >= 0 and age >= known then return {age} end
local json = redis.call('HGET', KEYS[1], field)
if not json then return {} end
return {age, json}
