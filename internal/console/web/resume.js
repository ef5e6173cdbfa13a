// Going on: a parked job comes back to the road, one that was killed or failed is
// followed by a new job that begins at a checkpoint of it.

import { get, post } from './api.js';
import { ask, field, foot, frame, redraw, send, show } from './dialog.js';
import { clock, h, money } from './dom.js';
import { at, say } from './state.js';

// resumable says whether there is something to resume: not where answers or the
// lifting of a block are waited for.
export function resumable(j) {
  return ['killed', 'failed'].includes(j.state) || (j.state === 'parked' && !['input', 'blocked'].includes(j.park_reason));
}

export function resume(j, actions) {
  if (!j || !resumable(j)) return;
  if (j.state === 'parked') { show({ body: backBody, job: j }); return; }
  show({ body: onBody, job: j, actions, kept: null }, (o) => ask(o, async () => {
    const { checkpoints } = await get(`/v1/jobs/${j.id}/checkpoints`);
    o.kept = checkpoints.toReversed();
    o.from = o.kept.find((c) => c.sound)?.seq;
  }));
}

// micro is a field of dollars in micro-USD; nothing is left out.
function micro(id) {
  const usd = Number(at(id).value);
  return usd > 0 ? { budget_micro_usd: Math.round(usd * 1e6) } : {};
}

function backBody(o) {
  const j = o.job;
  const own = j.park_reason === 'budget' && (!j.short_of || j.short_of === 'job');
  return frame(o, 'Resume this job', false, () => send(o, () => post(`/v1/jobs/${j.id}/resume`, micro('budget'), { idempotencyKey: o.key }), (a) => say(`The job is ${a.state}.`)),
    h('p', null, `It has spent ${money(j.spent_micro_usd)} of ${money(j.budget_micro_usd)} and is parked: ${j.park_reason}. It goes back to the road, and on from its last checkpoint.`),
    !own && j.short_of && h('p', { class: 'warn' }, `It is not its own budget that is used up but its ${j.short_of === 'breaker' ? 'fleet’s breaker that tripped' : `${j.short_of}’s window`}: it comes back by itself.`),
    field('budget', own ? 'New budget of the whole job, $' : 'New budget of the whole job, $ (optional)', { type: 'number', min: 0.000001, step: 'any', required: own || undefined, autofocus: true },
      `More than the ${money(j.spent_micro_usd)} that it has spent.`),
    foot(o, 'Resume', false));
}

function onBody(o) {
  const j = o.job;
  const kept = o.kept || [];
  const done = (a) => { say(`A new job goes on from checkpoint ${a.resumed_from_seq}.`); o.actions.openJob(a.id); };
  return frame(o, 'Go on from a checkpoint', false, () => send(o, () => post(`/v1/jobs/${j.id}/resume`, { from: o.from, ...micro('budget') }, { idempotencyKey: o.key }), done),
    h('p', null, `This job stays ${j.state}. A new one of ${j.owner} with the same input begins where you choose: what was paid before that is not paid again.`),
    o.kept && kept.length === 0 && h('p', { class: 'warn' }, 'No checkpoint of it is kept: there is nothing to go on from. Submit it anew.'),
    kept.length > 0 && h('fieldset', { class: 'choice', id: 'checkpoints', key: 'checkpoints' }, h('legend', null, 'Checkpoint'), kept.map((c, i) => choice(o, c, i === 0))),
    kept.length > 0 && field('budget', 'Its budget, $ (optional)', { type: 'number', min: 0.000001, step: 'any' }, `Left out: ${money(j.budget_micro_usd)}, as the first had.`),
    foot(o, o.from ? `Go on from no. ${o.from}` : 'Go on', false, Boolean(o.from)));
}

function choice(o, c, newest) {
  const id = `from-${c.seq}`;
  return h('p', { class: 'check', key: id },
    h('input', { type: 'radio', name: 'from', id, value: c.seq, checked: o.from === c.seq, disabled: !c.sound, autofocus: o.from === c.seq || undefined, onchange: () => { o.from = c.seq; redraw(); } }),
    h('label', { for: id }, `no. ${c.seq}, after ${c.node || 'a step'}`, c.at && `, ${clock(c.at)}`, newest && [' ', h('span', { class: 'chip' }, 'newest')], !c.sound && [' ', h('span', { class: 'chip bad' }, 'damaged')]));
}
