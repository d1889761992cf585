-- Claim stuck work of others: expired leases, and entries without a lease that idle for the visibility timeout.
-- ARGV[8..10]: token, most entries, where to begin. Reply: {entries, where to go on ('' at the end)}.
local token, most, start = ARGV[8], tonumber(ARGV[9]), ARGV[10]
local PAGE = 200

local function page()
  local rows = redis.pcall('XPENDING', stream, group, 'IDLE', visibility, start, '+', PAGE)
  if not rows.err then return rows end
  -- Before Redis 6.2 there is no IDLE; any other error shows here again.
  return redis.call('XPENDING', stream, group, start, '+', PAGE)
end

-- Whether the row may be claimed, and whether its owner died running it.
local function stuck(row)
  if row[2] == consumer or row[3] < visibility then return false end
  if row[2] == PARKED then return not redis.call('ZSCORE', due, row[1]) end
  local held, expiry = lease_of(row[1])
  return expiry <= now, held ~= nil
end

local claimed, crashed = {}, false
local rows = page()
local last = ''
local seen, waited = {}, {}

-- What waited to run alone pays nothing. Before anything of its owner's is taken, and wherever it is: later what ran is
-- in other hands.
local function spare(owner)
  if seen[owner] then return end
  seen[owner] = true
  for _, id in ipairs(waiting_of(owner, stream, group, lease, attempts)) do
    park(id, now)
    waited[id] = true
  end
end

for _, row in ipairs(rows) do
  if #claimed >= most then break end
  local free, crash = stuck(row)
  if free and crash then spare(row[2]) end
  -- One at a time of those that a worker died of: such an entry runs alone.
  if free and not waited[row[1]] and not (crash and (crashed or is_beside_a_suspect())) then
    if crash then
      crashed = true
      go_on_without_memory()
      redis.call('HINCRBY', attempts, row[1], 1)
      redis.call('HINCRBY', attempts, row[1] .. ':crashes', 1)
    end
    claimed[#claimed + 1] = hand_over(row[1], row, token, 'lease-expired')
  end
  last = row[1]
end
if #rows < PAGE and last == (rows[#rows] or {''})[1] then last = '' end
return {claimed, last}
