local permit, pace, burst, cost, mark = int(1), int(2), int(3), int(4), int(5)
local round = 4503599627370496
local held = redis.call('GET', KEYS[1])
if not held then return {0} end
if #held ~= 40 then return redis.error_reply('WRONGTYPE a record of another kind') end
local at, owed, total, unit, flow = struct.unpack('>ddddd', held)
if unit ~= permit then return {0} end
local passed = math.min(math.max(now - at, 0), math.ceil(owed / flow))
local debt = math.max(owed - passed * flow, 0)
local ahead = (mark - (total - debt)) % round
if ahead >= round / 2 then return {0} end
local back = math.min(ahead, math.min(cost, burst) * permit, debt)
debt = debt - back
local state = struct.pack('>ddddd', now, debt, total, permit, pace)
local beyond = (total - now % math.floor(round / pace) * pace) % round
if beyond >= round / 2 then beyond = 0 end
local left = math.max(debt, math.min(beyond, 2 * permit * burst))
redis.call('SET', KEYS[1], state, 'PX', math.max(1, math.ceil(math.ceil(left / pace) / 1000)))
return {back}
