-- reclaim: running -> queued | delayed (lost twice without progress) | failed (the attempts are used up) | killed (fenced)
-- Takes jobs back from workers whose leases the caller has itself watched stand
-- still for T. The server and the caller's nonce must be the ones it watched.
-- KEYS:    live leases road wake later alive over reapers holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    reaper nonce run_id before limit due
-- REPLY:   reclaimed other_server
-- FLAGS:   allow-oom
-- INCLUDE: run_id reaper over road record
if run_id() ~= A.run_id or not watches(A.reaper, A.nonce) then return { 'other_server' } end
local ids = redis.call('ZRANGEBYSCORE', K.leases, '-inf', '(' .. A.before, 'LIMIT', 0, A.limit)
local out = { 'reclaimed' }
for _, id in ipairs(ids) do
  local k = P.job .. id
  local r = record(k)
  local t = now()
  if not r or r.state ~= 'running' then
    redis.call('ZREM', K.leases, id)
    if not r then redis.call('ZREM', K.live, id) end
  else
    local order = covering(r)
    local attempts = r.leave == '1' and r.attempts or r.attempts + 1
    local losses = r.leave == '1' and r.losses or r.losses + 1
    local fields = { 'epoch', '', 'attempts', string.format('%d', attempts), 'losses', string.format('%d', losses) }
    local what
    if order then
      kill(id, r, order, 'fenced', t, 'epoch', '')
      what = 'killed'
    else
      if attempts >= r.max_attempts then
        moved(r.owner, 'running', nil)
        over(id, r, 'failed', t, { cause = 'attempts' }, 'cause', 'attempts',
          'error', 'its worker was lost and the attempts are used up', unpack(fields))
        what = 'failed'
      else
        close_ledger(id, r)
        redis.call('ZREM', K.leases, id)
        emit(id, 'job.reclaimed', t, { worker = r.worker, attempts = attempts })
        if losses >= 2 then
          redis.call('HSET', k, 'state', 'delayed', 'due_at', A.due, unpack(fields))
          redis.call('ZADD', K.later, A.due, id)
          moved(r.owner, 'running', 'delayed')
          what = 'delayed'
        else
          moved(r.owner, 'running', 'queued')
          to_road(id, t, unpack(fields))
          what = 'queued'
        end
      end
    end
    out[#out + 1] = { id, r.worker or '', what }
  end
end
return out
