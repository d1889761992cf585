-- Remove the oldest entries that are past the retention's limit and that no group needs. One bounded step.
-- KEYS: stream. ARGV: group, max age ms (-1: none), max length (-1: none), entries per step.
-- Reply: {removed, 1 if there may be more, names of the groups that keep entries past the limit}.
-- Entries are counted and cut by exact MAXLEN, since MINID came with Redis 6.2 and takes no step with exact trimming.
local stream, group = KEYS[1], ARGV[1]
local max_age, max_length, step = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local PAGE, BYTES = 128, 4000000 -- a step also ends at so many bytes read: a script blocks the server

-- The smallest id that some group still needs, and who needs it.
local floor, names, mine
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local row = fields(flat)
  mine = mine or row.name == group
  local own = floor_of(stream, row)
  if not floor or before(own, floor) then floor, names = own, {} end
  if own == floor and #names < 8 then names[#names + 1] = row.name end
end
-- A group of ours that is yet to be created may need everything.
if not mine then return redis.error_reply('NOGROUP no such group') end

local length = redis.call('XLEN', stream)
local function past_limit(id, removed)
  if max_length >= 0 and length - removed > max_length then return true end
  local ms = tonumber(string.match(id, '^%d+'))
  -- Ids made by the producer need not be times.
  return max_age >= 0 and ms >= 946684800000 and ms < now - max_age
end

local removed, bytes, start, blocked, done = 0, 0, '-', false, false
while not done and removed < step and bytes < BYTES do
  local page = redis.call('XRANGE', stream, start, '+', 'COUNT', PAGE)
  for i, entry in ipairs(page) do
    if entry[1] ~= start then
      if not past_limit(entry[1], removed) or removed == step then done = true
      elseif before(entry[1], floor) then
        removed = removed + 1
        for _, value in ipairs(entry[2]) do bytes = bytes + #value end
      -- The floor itself stays; only what comes after it is kept from trimming.
      elseif entry[1] ~= floor then done, blocked = true, true
      end
      if done then break end
    end
  end
  if #page < PAGE then done = true else start = page[#page][1] end
end
if removed > 0 then redis.call('XTRIM', stream, 'MAXLEN', length - removed) end
local more = not blocked and (removed == step or bytes >= BYTES)
return {removed, more and 1 or 0, blocked and names or {}}
