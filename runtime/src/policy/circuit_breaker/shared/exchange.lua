-- One report of an instance, and the fleet's answer: algorithm/fleet_circuit/fleet.rs in Lua.
-- The record is a hash: g generation, p phase, s since, u until, f failed recoveries, n successes,
-- l places, m signs, ct/ci last command, e epoch, a/z first and next batch, c/x/y sums over the window,
-- and each batch by its number: start of its piece of time, calls, failures, slow calls.
local key = KEYS[1]
local CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED = 0, 1, 2, 3, 4
local int_text = function(i) return string.format('%.0f', i) end

local seen, floor, epoch, who = int(1), int(2), int(3), int(4)
local calls, failures, slow = int(5), int(6), int(7)
local streak, opened, jitter = int(8), int(9), int(10)
local command, command_id, command_age = int(11), int(12), int(13)
local reach_calls, reach_grain, width, pieces = int(14), int(15), int(16), int(17)
local failure_rate, slow_rate, minimum_calls = tonumber(arg(18)), tonumber(arg(19)), int(20)
local quorum, recovery, longest_recovery = int(21), int(22), int(23)
local places, needed, lease, keep, keep_by_hand = int(24), int(25), int(26), int(27), int(28)

local r = redis.call('HMGET', key, 'g', 'p', 's', 'u', 'f', 'n', 'l', 'm', 'ct', 'ci', 'e', 'a', 'z', 'c', 'x', 'y')
local known = math.max(seen, floor)
local generation = tonumber(r[1])
local lost = generation == nil
if lost then
  generation = math.max(now, known + 1)
end
local phase, since, until_ = tonumber(r[2] or 0), tonumber(r[3] or 0), tonumber(r[4] or 0)
local failed, successes = tonumber(r[5] or 0), tonumber(r[6] or 0)
local controlled, control = tonumber(r[9] or 0), tonumber(r[10] or 0)
local fleet_epoch = tonumber(r[11] or epoch)
local first, next_batch = tonumber(r[12] or 0), tonumber(r[13] or 0)
local sum_calls, sum_failures, sum_slow = tonumber(r[14] or 0), tonumber(r[15] or 0), tonumber(r[16] or 0)

local function pairs_of(text)
  local list = {}
  for id, at in string.gmatch(text or '', '(%d+)=(-?%d+)') do
    list[#list + 1] = {tonumber(id), tonumber(at)}
  end
  return list
end
local function text_of(list)
  local text = {}
  for i, pair in ipairs(list) do
    text[i] = int_text(pair[1]) .. '=' .. int_text(pair[2])
  end
  return table.concat(text, ' ')
end
local leases, signs = pairs_of(r[7]), pairs_of(r[8])

-- Batches that were read, written and dropped here.
local cleared, read, written, dropped = false, {}, {}, {}

local function batch_at(number)
  local batch = written[number] or read[number]
  if not batch then
    local text = (not cleared) and redis.call('HGET', key, int_text(number)) or '0 0 0 0'
    local piece, c, x, y = string.match(text or '0 0 0 0', '(-?%d+) (%d+) (%d+) (%d+)')
    batch = {tonumber(piece), tonumber(c), tonumber(x), tonumber(y)}
    read[number] = batch
  end
  return batch
end
local function clear_window()
  cleared, read, written, dropped = true, {}, {}, {}
  first, next_batch = 0, 0
  sum_calls, sum_failures, sum_slow = 0, 0, 0
end
local function drop_oldest()
  local batch = batch_at(first)
  sum_calls, sum_failures, sum_slow = sum_calls - batch[2], sum_failures - batch[3], sum_slow - batch[4]
  written[first] = nil
  dropped[#dropped + 1] = int_text(first)
  first = first + 1
end
local function add_batch(piece, joins)
  if calls == 0 then return end
  sum_calls, sum_failures, sum_slow = sum_calls + calls, sum_failures + failures, sum_slow + slow
  if first < next_batch then
    local newest = batch_at(next_batch - 1)
    if joins(newest) then
      written[next_batch - 1] = {newest[1], newest[2] + calls, newest[3] + failures, newest[4] + slow}
      return
    end
  end
  written[next_batch] = {piece, calls, failures, slow}
  next_batch = next_batch + 1
end
local function push_batch()
  if reach_calls > 0 then
    -- A window of time has become one of calls.
    if first < next_batch and batch_at(next_batch - 1)[1] ~= 0 then clear_window() end
    add_batch(0, function(newest) return newest[2] + calls <= reach_grain end)
    while first < next_batch and sum_calls - batch_at(first)[2] >= reach_calls do drop_oldest() end
    return
  end
  local piece, length = math.floor(now / width) * width, width * pieces
  if first < next_batch then
    local newest = batch_at(next_batch - 1)[1]
    if newest - piece >= length then clear_window() else piece = math.max(piece, newest) end
  end
  while first < next_batch and batch_at(first)[1] + length <= piece do drop_oldest() end
  add_batch(piece, function(newest) return newest[1] == piece end)
end

local function change(to)
  generation, phase = generation + 1, to
  since, until_, successes = 0, 0, 0
  leases, signs = {}, {}
end
local function close()
  change(CLOSED)
  clear_window()
  failed = 0
end
local function open(failed_recoveries)
  local time, left = recovery, failed_recoveries
  while left > 0 and time < longest_recovery do
    time = math.min(time * 2, longest_recovery)
    left = left - 1
  end
  change(OPEN)
  failed, since = failed_recoveries, now
  local parts, rest = math.floor(time / 1000000), time % 1000000
  until_ = now + time + parts * jitter + math.floor(rest * jitter / 1000000)
end
local function without(list, id)
  local left = {}
  for _, pair in ipairs(list) do
    if pair[1] ~= id then left[#left + 1] = pair end
  end
  return left
end

if generation < known then generation = known + 1 end
if fleet_epoch < epoch then
  fleet_epoch = epoch
  close()
end

-- The clock.
if now < since then
  until_, since = now + (until_ - since), now
end
if now < controlled then controlled = 0 end
local held = {}
for _, pair in ipairs(leases) do
  if pair[2] >= now then held[#held + 1] = {pair[1], math.min(pair[2], now + lease)} end
end
leases = held
local standing = {}
for _, pair in ipairs(signs) do
  local at = math.min(pair[2], now)
  if at > now - recovery then standing[#standing + 1] = {pair[1], at} end
end
signs = standing

-- Ends of probes.
local at = 29
local ends = int(at)
at = at + 1
for _ = 1, ends do
  local number, how = int(at), int(at + 1)
  at = at + 2
  local left = without(leases, number)
  if #left < #leases then
    leases = left
    if how == 1 then
      open(failed + 1)
    elseif how == 0 then
      successes = successes + 1
      if successes >= needed then close() end
    end
  end
end

-- Outcomes.
local function rates_reached()
  if sum_calls < minimum_calls or sum_calls == 0 then return false end
  return (failure_rate and sum_failures / sum_calls >= failure_rate)
    or (slow_rate and sum_slow / sum_calls >= slow_rate)
end
if phase == CLOSED and generation == seen then
  push_batch()
  if streak > 0 then signs = without(signs, who) end
  if streak == 1 then signs[#signs + 1] = {who, now} end
  if opened == 1 or (streak == 1 and #signs >= quorum) or rates_reached() then open(0) end
end

-- By hand.
if command > 0 and command_id ~= control and now - command_age >= controlled then
  controlled, control = now - command_age, command_id
  local ends = (command == 4 and phase == FORCED_OPEN) or (command == 5 and phase == DISABLED)
  if command == 3 or ends then
    close()
    fleet_epoch = math.max(fleet_epoch, generation)
  elseif command < 3 then
    local to = command == 1 and FORCED_OPEN or DISABLED
    if phase ~= to then change(to) end
  end
end

-- Places.
local asks = int(at)
if asks > 0 and phase == OPEN and now >= until_ then change(HALF_OPEN) end
local granted = {}
if phase == HALF_OPEN then
  for i = 1, asks do
    local number, holds = int(at + i), false
    for _, pair in ipairs(leases) do
      if pair[1] == number then holds = true end
    end
    if not holds and #leases < places then
      leases[#leases + 1] = {number, now + lease}
      holds = true
    end
    if holds then granted[#granted + 1] = number end
  end
end

if cleared then
  redis.call('UNLINK', key)
elseif #dropped > 0 then
  for i = 1, #dropped, 1000 do
    redis.call('HDEL', key, unpack(dropped, i, math.min(i + 999, #dropped)))
  end
end
redis.call('HSET', key, 'g', generation, 'p', phase, 's', since, 'u', until_, 'f', failed, 'n', successes,
  'l', text_of(leases), 'm', text_of(signs), 'ct', controlled, 'ci', control, 'e', fleet_epoch,
  'a', first, 'z', next_batch, 'c', sum_calls, 'x', sum_failures, 'y', sum_slow)
for number, batch in pairs(written) do
  redis.call('HSET', key, int_text(number),
    int_text(batch[1]) .. ' ' .. int_text(batch[2]) .. ' ' .. int_text(batch[3]) .. ' ' .. int_text(batch[4]))
end
local lasts = keep
if phase == OPEN then
  lasts = math.max(until_ - now, 0) + keep
elseif phase == FORCED_OPEN or phase == DISABLED then
  lasts = keep_by_hand
end
redis.call('PEXPIRE', key, int_text(math.ceil(lasts / 1000)))

local wait = 0
if phase == OPEN then wait = math.max(until_ - now, 0) end
local reply = {generation, phase, wait, failed, successes, fleet_epoch, sum_calls, sum_failures, sum_slow}
for _, number in ipairs(granted) do reply[#reply + 1] = number end
return reply
