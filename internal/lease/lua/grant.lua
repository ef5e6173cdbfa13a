-- grant: queued -> running | parked (a standing order blocks it) | killed (an order covers it)
-- Takes up to `slots` jobs from the road into leases, looking at no more than
-- `scan` entries. Nothing is ever delivered and not granted: an entry is read,
-- acknowledged and deleted in this one step. The nonce is the retry key.
-- KEYS:    road wake live leases later alive over aside attempt
-- READS:   gate beat
-- MAKES:   job events alive_of tally held calls reserved
-- ARGV:    worker nonce slots scan
-- REPLY:   granted frozen
-- INCLUDE: over record
local function claimed(id, epoch)
  return { id, epoch, redis.call('HGETALL', P.job .. id) }
end

local last = redis.call('GET', K.attempt)
if last and string.sub(last, 1, #A.nonce + 1) == A.nonce .. ' ' then
  local again = { 'granted', '1' }
  for id, epoch in string.gmatch(string.sub(last, #A.nonce + 2), '(%S+)=(%S+)') do
    if holds(record(P.job .. id), A.worker, epoch) then again[#again + 1] = claimed(id, epoch) end
  end
  return again
end
if gate().frozen then return { 'frozen' } end

local function next_entry()
  local got = redis.pcall('XREADGROUP', 'GROUP', 'fleet', 'grant', 'COUNT', 1, 'STREAMS', K.road, '>')
  if got and got.err then
    if not string.find(got.err, 'NOGROUP', 1, true) then return nil, got end
    redis.call('XGROUP', 'CREATE', K.road, 'fleet', '0', 'MKSTREAM')
    got = redis.call('XREADGROUP', 'GROUP', 'fleet', 'grant', 'COUNT', 1, 'STREAMS', K.road, '>')
  end
  if not got or not got[1] then return nil end
  return got[1][2][1]
end

local function set_aside(entry, why, id)
  if id then redis.call('ZREM', K.live, id) end
  redis.call('XADD', K.aside, 'MAXLEN', '~', '1000', '*', 'entry', entry[1], 'reason', why, 'fields', cjson.encode(entry[2] or {}))
end

local function job_of(entry)
  local f = entry[2] or {}
  for i = 1, #f - 1, 2 do
    if f[i] == 'job' then return f[i + 1] end
  end
  return nil
end

-- labels_of: what standing orders look at. Labels that are no object match none;
-- the worker that gets the job fails it.
local function labels_of(id)
  local raw = #gate().rules > 0 and redis.call('HGET', P.job .. id, 'labels') or '{}'
  local ok, labels = pcall(cjson.decode, raw)
  return ok and type(labels) == 'table' and labels or {}
end

-- admit: what becomes of the job an entry names; its epoch when it is granted.
local function admit(entry)
  local id = job_of(entry)
  if not id then return set_aside(entry, 'the entry names no job') end
  local r = record(P.job .. id)
  if r == nil then return set_aside(entry, 'the job has no record', id) end
  if r == false then return set_aside(entry, 'the record is not a job', id) end
  if r.state ~= 'queued' or r.entry ~= entry[1] then return nil end
  local t = now()
  local order = covering(r)
  if order then return kill(id, r, order, 'not_running', t) end
  local block = blocking(r.owner, r.kind, labels_of(id))
  count(r.owner, 'queued', -1)
  if block then
    redis.call('HSET', P.job .. id, 'state', 'parked', 'park_reason', 'blocked', 'blocked_by', block.order)
    redis.call('ZADD', K.later, '+inf', id)
    count(r.owner, 'parked', 1)
    emit(id, 'job.parked', t, { reason = 'blocked', order = block.order })
    return nil
  end
  local epoch = string.format('%d', r.grants + 1) .. '.' .. A.nonce
  redis.call('HSET', P.job .. id, 'state', 'running', 'worker', A.worker, 'epoch', epoch,
    'grants', string.format('%d', r.grants + 1), 'granted_at', t)
  redis.call('HDEL', P.job .. id, 'leave')
  redis.call('ZADD', K.leases, redis.call('GET', K.beat) or '0', id)
  count(r.owner, 'running', 1)
  emit(id, 'job.started', t, { worker = A.worker, epoch = epoch, attempt = r.attempts + 1 })
  return epoch, id
end

local out, memo = { 'granted', '1' }, { A.nonce }
for _ = 1, tonumber(A.scan) do
  if #out - 2 >= tonumber(A.slots) then break end
  local entry, failed = next_entry()
  if failed then return failed end
  if not entry then
    out[2] = '0'
    break
  end
  redis.call('XACK', K.road, 'fleet', entry[1])
  redis.call('XDEL', K.road, entry[1])
  local epoch, id = admit(entry)
  if epoch then
    out[#out + 1] = claimed(id, epoch)
    memo[#memo + 1] = id .. '=' .. epoch
  end
end
if #memo > 1 then redis.call('SET', K.attempt, table.concat(memo, ' '), 'EX', '60') end
if redis.call('LLEN', K.wake) > 0 and out[2] == '0' then redis.call('DEL', K.wake) end
return out
