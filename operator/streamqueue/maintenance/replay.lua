-- Copy entries of a stream to the end of a stream, in steps. What is copied stays where it is; what has too many fields to be
-- copied is left out.
-- KEYS: source, target. ARGV: group ('' where the target is another stream), most per call, first id, last id, 1 if copies may
-- reach other groups.
-- Reply: {count, last id read or '', 1 if there may be more, ids left out}; {-1, '', 0, {}} if a copy would reach other
-- groups.
local source, target = KEYS[1], KEYS[2]
local group, most, first, last = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local BYTES = 2000000 -- a script blocks the server

if redis.replicate_commands then redis.replicate_commands() end
local kind = redis.call('TYPE', target).ok
if kind ~= 'none' and kind ~= 'stream' then return redis.error_reply('WRONGTYPE of the target') end
if reaches_others(target, group) and ARGV[5] ~= '1' then return {-1, '', 0, {}} end

local page = redis.call('XRANGE', source, first, last, 'COUNT', most)
local bytes, read, at, left_out = 0, 0, '', {}
for _, entry in ipairs(page) do
  -- A replay is a task of its own: under the old id its results would overwrite, and its hand-overs be dropped as seen.
  local args, task = {}, entry[1]
  for i = 1, #entry[2], 2 do
    local name, value = entry[2][i], entry[2][i + 1]
    bytes = bytes + #value
    if name == 'sq-id' then task = value end
    if string.sub(name, 1, 3) ~= 'sq-' then
      args[#args + 1] = name
      args[#args + 1] = value
    end
  end
  if #args > MAX_ARGS then
    left_out[#left_out + 1] = entry[1]
  else
    redis.call('XADD', target, '*', 'sq-replay-of', task, 'sq-replay-entry', entry[1], 'sq-replay-stream', source,
      unpack(args))
  end
  read, at = read + 1, entry[1]
  if bytes > BYTES then break end
end
return {read - #left_out, at, (#page == most or read < #page) and 1 or 0, left_out}
