// A job's page: the deliberation as it unfolds, its facts, its end.

import { get, post, random } from './api.js';
import { dialogs } from './dialogs.js';
import { brief, clock, count, h, money, since, span, words } from './dom.js';
import { every, follow } from './live.js';
import { over, stateOf } from './overview.js';
import { timeline } from './receipt.js';
import { resumable } from './resume.js';
import { changed, say, state } from './state.js';
import { cost, gist, progress, same, simulated, story } from './story.js';

const kept = 600; // events that are shown at most

export function job() {
  const { job: j, events, problem, result } = state.route;
  if (!j) return h('p', { class: 'dim wait' }, problem || 'Reading the job…');
  return h('div', { class: 'page' },
    h('p', { class: 'crumbs' }, h('a', { href: '#/' }, 'Overview'), ' / job'),
    h('div', { class: 'title' }, h('h1', null, headline(j)), stateOf(j), h('span', { class: 'grow' }),
      resumable(j) && h('button', { id: 'resume-job', class: 'primary', onclick: () => dialogs.resume(j) }, j.state === 'parked' ? 'Resume' : 'Go on from a checkpoint', h('kbd', null, 'r')),
      !over(j) && h('button', { id: 'kill-job', class: 'danger', onclick: () => dialogs.killJob(j) }, 'Kill this job', h('kbd', null, 'k'))),
    h('p', { class: 'dim id' }, j.id),
    h('div', { class: 'grid job' },
      h('div', { class: 'column' }, questions(j), result && ending(result), h('section', { class: 'panel', 'aria-label': 'What happens' },
        h('header', null, h('h2', null, 'What happens'), h('span', { class: 'dim' }, `${events.length} events`)),
        simulated(events) && h('p', { class: 'dim none' }, 'The texts are simulated: no model wrote them.'),
        h('ol', { class: 'story scrolls', id: 'story', tabindex: 0, 'aria-label': 'Events' }, story(events)))),
      h('aside', { class: 'column' }, now(j, events), facts(j), kill(j))));
}

function headline(j) {
  return gist(j.input?.problem) || `${j.kind} of ${j.owner}`;
}

function now(j, events) {
  const p = progress(events);
  const spent = Math.max(j.spent_micro_usd || 0, cost(events) || 0);
  return h('section', { class: 'panel', 'aria-label': 'Now' },
    h('p', { class: 'rate' }, h('b', null, money(spent)), h('span', null, j.budget_micro_usd ? `of ${money(j.budget_micro_usd)}` : 'so far')),
    j.budget_micro_usd > 0 && h('span', { class: 'meter' }, h('i', { class: spent > 0.85 * j.budget_micro_usd ? 'bad' : '', 'width%': Math.min(100, (100 * spent) / j.budget_micro_usd) })),
    p.round && h('dl', { class: 'facts' }, pair('part', p.part), pair('round', `${p.round} of at most ${p.of}`), pair('spoke last', p.speaker), p.agreement !== undefined && pair('agreement', `${p.agreement} %`)),
    p.speakers.size > 0 && h('p', { class: 'dim speakers' }, [...p.speakers].map(([name, n]) => h('span', { key: name, class: 'tag' }, `${name} × ${n}`))));
}

function pair(name, value) {
  return value !== undefined && value !== null && value !== '' && h('div', null, h('dt', null, name), h('dd', null, value));
}

function facts(j) {
  return h('section', { class: 'panel', 'aria-label': 'Facts' }, h('header', null, h('h2', null, 'Facts')),
    h('dl', { class: 'facts' },
      pair('owner', j.owner), pair('submitted by', j.submitter), pair('kind', j.kind), pair('worker', j.worker),
      pair('age', since(j.created_at)), pair('granted', j.granted_at && clock(j.granted_at)), pair('ended', j.ended_at && clock(j.ended_at)),
      pair('due', j.due_at && clock(j.due_at)),
      pair('grants', count(j.grants)), pair('failed attempts', `${j.attempts} of ${j.max_attempts}`), pair('last checkpoint', j.checkpoint ? `no. ${count(j.checkpoint)}` : 'none'),
      pair('bound of an attempt', j.timeout_seconds && span(j.timeout_seconds)), pair('reserved', j.reserved_micro_usd ? money(j.reserved_micro_usd) : ''),
      pair('goes on from', j.resumed_from && [h('a', { class: 'id', href: `#/jobs/${j.resumed_from}`, title: j.resumed_from }, brief(j.resumed_from)), `, no. ${count(j.resumed_from_seq)}`]), pair('cause', words(j.cause)), pair('last error', j.error)),
    Object.keys(j.labels || {}).length > 0 && h('p', null, Object.entries(j.labels).map(([k, v]) => h('span', { class: 'tag' }, `${k}=${v}`))));
}

function kill(j) {
  const r = state.route.receipt;
  if (!j.order) return null;
  return h('section', { class: 'panel', 'aria-label': 'Kill' }, h('header', null, h('h2', null, 'Kill'), j.verdict && h('span', { class: 'chip' }, words(j.verdict))),
    h('p', null, `by ${j.killed_by || '–'}: “${j.kill_reason || ''}”`),
    r && timeline(r.timeline),
    h('p', { class: 'dim' }, j.spent_at_order_micro_usd !== undefined && `Spent at the order: ${money(j.spent_at_order_micro_usd)}; after it: ${money(Math.max(0, (j.spent_micro_usd || 0) - j.spent_at_order_micro_usd))}. `,
      state.me.may.includes('fleet-read') && h('a', { href: `#/orders/${j.order}` }, 'The receipt')));
}

function ending(r) {
  const a = r.result || r.late_result;
  if (!a) return null;
  return h('section', { class: 'panel report', 'aria-label': 'Result', id: 'result' },
    h('header', null, h('h2', null, r.result ? 'Result' : 'A result that came after the kill'), h('span', { class: 'dim' }, money(r.spent_micro_usd))),
    a.synthesis ? [
      h('p', null, gist(a.synthesis)),
      a.recommendations?.length > 0 && h('ol', null, a.recommendations.map((x) => h('li', null, h('b', null, gist(x.title)), h('span', { class: 'chip' }, `${x.confidence} %`), h('p', { class: 'dim' }, gist(x.detail))))),
      a.next_steps?.length > 0 && [h('h3', null, 'Next steps'), h('ul', null, a.next_steps.map((s) => h('li', null, gist(s))))],
    ] : h('pre', { tabindex: 0 }, JSON.stringify(a, null, 2)));
}

// asked are the questions of a job that waits for answers. Each has the key that
// its answer has among the others; keyed is whether they are asked by name.
function asked(j) {
  const q = j.questions;
  if (!q || j.state !== 'parked') return { list: [] };
  const many = Array.isArray(q) ? q : q.questions;
  if (!Array.isArray(many)) return { keyed: true, list: Object.entries(q).map(([key, x]) => ({ key, text: typeof x === 'string' ? x : x?.text || key, choices: choices(x) })) };
  return { keyed: false, list: many.map((x, i) => ({ key: i, text: typeof x === 'string' ? x : x.text || x.question || JSON.stringify(x), choices: choices(x) })) };
}

// choices are what a question may be answered with, when it says so.
function choices(x) {
  const c = x?.choices || x?.options;
  return Array.isArray(c) && c.every((v) => typeof v === 'string') ? c : [];
}

function questions(j) {
  const { list, keyed } = asked(j);
  if (list.length === 0) return null;
  return h('section', { class: 'panel asks', 'aria-label': 'Questions' }, h('header', null, h('h2', null, 'It waits to be told'), h('span', { class: 'dim' }, 'no worker is held, nothing is spent')),
    h('form', { id: 'answers', onsubmit: (e) => answer(e, j, list, keyed) },
      list.map((q) => h('div', { class: 'field', key: q.key }, h('label', { for: `q-${q.key}` }, gist(q.text)),
        q.choices.length > 0
          ? h('select', { id: `q-${q.key}`, required: true }, h('option', { value: '' }, 'Choose…'), q.choices.map((c) => h('option', { value: c }, c)))
          : h('textarea', { id: `q-${q.key}`, rows: 2, required: true }))),
      state.route.answerFault && h('p', { class: 'fault', role: 'alert' }, state.route.answerFault),
      h('button', { class: 'primary', type: 'submit', disabled: state.route.answering }, state.route.answering ? 'Sending…' : 'Answer and go on')));
}

// answer sends one answer for each question, in their order, as the API wants it; by
// name only where the program asked by name.
async function answer(e, j, list, keyed) {
  e.preventDefault();
  const route = state.route;
  const said = list.map((q) => [q.key, document.getElementById(`q-${q.key}`).value.trim()]);
  route.answerKey ||= random();
  route.answering = true;
  changed();
  try {
    await post(`/v1/jobs/${j.id}/answer`, { answers: keyed ? Object.fromEntries(said) : said.map(([, text]) => text) }, { idempotencyKey: route.answerKey });
    route.answerFault = null;
    say('Answered. The job goes on.');
  } catch (err) {
    route.answerFault = err.inWords || String(err);
    route.answerKey = err.status ? null : route.answerKey; // what was refused is another answer next time
  }
  route.answering = false;
  changed();
}

job.open = (route) => {
  const known = new Set();
  follow(`/v1/jobs/${route.id}/events`, route.signal, (e) => {
    if (known.has(same(e))) return;
    known.add(same(e));
    const box = document.getElementById('story');
    const low = !box || box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    route.events.push(e);
    if (route.events.length > kept) route.events.shift();
    changed();
    if (low) setTimeout(() => { const b = document.getElementById('story'); if (b) b.scrollTop = b.scrollHeight; }, 40);
  });
  every(1500, route.signal, async () => {
    if (route.done) return;
    try {
      route.job = await get(`/v1/jobs/${route.id}`, { signal: route.signal });
      if (route.job.order) route.receipt = await get(`/v1/orders/${route.job.order}`, { signal: route.signal }).catch(() => null);
      if (over(route.job)) {
        route.result = await get(`/v1/jobs/${route.id}/result`, { signal: route.signal });
        route.done = true;
      }
      route.problem = null;
    } catch (e) {
      route.problem = e.inWords || String(e);
    }
    changed();
  });
};
