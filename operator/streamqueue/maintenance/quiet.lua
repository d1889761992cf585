-- Has the server, or its clock, changed since the last look? Then every idle time is in doubt for one visibility timeout.
-- KEYS: epoch. ARGV: server token ('' unknown), visibility timeout ms, client's clock ms.
-- Reply: {quiet until ms or 0, reason}.
local epoch, token, visibility, client = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local SLACK = 2000 -- ms that a slow call may take
local KEEP = 30 * 86400 * 1000 -- ms after which the key of a deleted queue is gone

local old = redis.call('HMGET', epoch, 'token', 'seen', 'interval', 'skew', 'since', 'reason')
local seen, interval, skew = tonumber(old[2]), tonumber(old[3]), tonumber(old[4])
local since, reason = tonumber(old[5]), old[6]
local gap = seen and now - seen

local change
if not seen then change = 'first-look'
elseif token ~= '' and old[1] ~= '' and token ~= old[1] then change = 'restart-or-failover'
elseif gap < 0 or math.abs(now - client - skew) > math.max(visibility / 4, SLACK) then change = 'clock'
-- Nobody could look for long: Redis was away, or stopped, and so were its clients' acknowledgements.
elseif gap > 2 * math.max(interval, visibility) then change = 'gap'
end
if change then since, reason = now, change end
if token == '' then token = old[1] or '' end

redis.call('HSET', epoch, 'token', token, 'seen', now, 'interval', math.max(gap or 0, 0), 'skew', now - client,
  'since', since, 'reason', reason)
redis.call('PEXPIRE', epoch, KEEP)
if now - since < visibility then return {since + visibility, reason} end
return {0, ''}
