// A job's events told for people: who speaks, in which round, at what cost.

import { clock, h, money } from './dom.js';

// gist is a text without the mark that every simulated one begins with (the page
// says once, for all, that the texts are simulated) and without Markdown's stars.
export function gist(text) {
  return String(text || '').replace('[simulated]', '').replaceAll('**', '').trim();
}

export function simulated(events) {
  return events.some((e) => JSON.stringify(e.data).includes('[simulated]'));
}

// same is equal for an event that came twice.
export function same(e) {
  const d = e.data.data || {};
  if (!d.sub_problem || e.type.startsWith('model.')) return e.id;
  return [e.type, d.sub_problem, d.round, d.persona].join(' ');
}

// cost is what the job had cost at its last event that says so.
export function cost(events) {
  for (const e of [...events].reverse()) if (e.data.data?.cost_micro_usd !== undefined) return e.data.data.cost_micro_usd;
  return null;
}

// progress is where the deliberation is: part, round, and who spoke last.
export function progress(events) {
  const now = { speakers: new Map() };
  for (const e of events) {
    const d = e.data.data || {};
    if (e.type === 'round.started') Object.assign(now, { part: d.sub_problem, round: d.round, of: d.of });
    if (e.type === 'contribution') { now.speaker = d.name; now.speakers.set(d.name, (now.speakers.get(d.name) || 0) + 1); }
    if (e.type === 'convergence') now.agreement = d.convergence;
    if (e.type === 'vote') now.voting = true;
  }
  return now;
}

export function story(events) {
  const hues = new Map(); // by who spoke first
  const hue = (name) => hues.get(name) ?? hues.set(name, hues.size % 6).get(name);
  return events.map((e) => {
    const d = e.data.data || {};
    const body = tell(e.type, d);
    if (!body) return null;
    return h('li', { key: e.id, class: `event ${body.cls || ''}` },
      h('time', { datetime: e.data.at, title: e.data.at }, clock(e.data.at)),
      h('div', null, body.who && h('b', { class: `who hue${hue(body.who)}` }, body.who), body.where && h('span', { class: 'where' }, body.where), h('span', { class: 'what' }, body.what)),
      h('span', { class: 'cost' }, d.cost_micro_usd === undefined ? '' : money(d.cost_micro_usd)));
  });
}

function tell(type, d) {
  if (type.startsWith('job.')) return moved(type.slice(4), d);
  const round = d.round ? `round ${d.round}` : '';
  switch (type) {
    case 'decomposed': return { cls: 'mile', what: `taken apart into ${(d.sub_problems || []).length} parts: ${(d.sub_problems || []).map((p) => gist(p.title || p.goal)).join(' · ')}` };
    case 'personas.selected': return { where: d.sub_problem, what: `at the table: ${(d.personas || []).map((p) => p.name).join(', ')}` };
    case 'round.started': return { cls: 'round', where: d.sub_problem, what: `Round ${d.round} of at most ${d.of}${d.focus ? `: ${gist(d.focus)}` : ''}` };
    case 'contribution': return d.fault ? { who: d.name, where: round, what: `sits this round out: ${d.fault}`, cls: 'warn' } : { who: d.name, where: round, what: gist(d.text), cls: 'speech' };
    case 'facilitator': return d.next === 'vote' ? { where: d.sub_problem, what: 'the facilitator calls for the vote', cls: 'dim' } : null;
    case 'convergence': return { cls: 'dim', where: round, what: `agreement ${d.convergence} %, new arguments ${d.novelty} %${d.stops ? `; no further round: ${d.stops}` : ''}` };
    case 'options': return { where: d.sub_problem, what: `to vote on: ${(d.options || []).map((o) => `${o.id} ${gist(o.title)}`).join(' · ')}` };
    case 'vote': return { who: d.name, where: 'vote', what: `${d.option}, ${d.confidence} % sure` };
    case 'synthesis': return { cls: 'good', where: d.sub_problem, what: `found (${d.confidence} %): ${gist(d.action)}` };
    case 'done': return { cls: 'mile', what: `written up, after ${d.calls} calls of the model` };
    case 'model.retry': return { cls: 'warn', what: `the model server has trouble with ${d.call} (try ${d.try} of ${d.of}): ${d.reason}` };
    case 'model.again': return { cls: 'dim', what: `an unusable reply to ${d.call} is asked for again: ${d.reason}` };
    default: return { cls: 'dim', what: `${type} ${JSON.stringify(d)}` };
  }
}

function moved(state, d) {
  switch (state) {
    case 'queued': return { cls: 'mile', what: 'queued' };
    case 'started': return { cls: 'mile', what: `started on ${d.worker}${d.attempt > 1 ? `, attempt ${d.attempt}` : ''}` };
    case 'released': return { cls: 'warn', what: `handed back by ${d.worker} (${d.cause}); the next worker resumes from the checkpoint` };
    case 'reclaimed': return { cls: 'warn', what: `taken back from ${d.worker}, which went silent` };
    case 'delayed': return { cls: 'warn', what: `attempt ${d.attempts} failed and is repeated later: ${d.error}` };
    case 'parked': return { cls: 'warn', what: `parked: ${d.reason}` };
    case 'killing': return { cls: 'bad', what: `ordered to stop by ${d.by}: ${d.reason}` };
    case 'killed': return { cls: 'bad', what: `killed by ${d.by}: ${d.reason}${d.verdict ? ` (${String(d.verdict).replaceAll('_', ' ')})` : ''}` };
    case 'failed': return { cls: 'bad', what: ['failed', d.cause, d.error].filter(Boolean).join(': ') };
    case 'succeeded': return { cls: 'good', what: 'succeeded' };
    default: return { cls: 'mile', what: state };
  }
}
