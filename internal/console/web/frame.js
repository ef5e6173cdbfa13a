// The frame of every page: the bar with the gate, the age of the data and the
// levers, and the banners of what must not be overlooked.

import { dialogs } from './dialogs.js';
import { h, since, span } from './dom.js';
import { help } from './keys.js';
import { killCard } from './receipt.js';
import { changed, may, state } from './state.js';
import { theme, toggleTheme } from './theme.js';

export function bar(actions) {
  const gate = state.fleet?.gate;
  return [
    h('a', { class: 'mark', href: '#/', title: 'To the overview' }, h('img', { src: 'icon.svg', alt: '', width: 20, height: 20 }), h('b', null, 'gavel'), h('span', { class: 'fleet' }, state.me.fleet)),
    gate && gateChip(gate),
    fresh(),
    h('span', { class: 'grow' }),
    h('span', { class: 'levers' },
      may('freeze') && !gate?.frozen && lever('freeze', 'Freeze', 'h', () => dialogs.freeze()),
      may('thaw') && gate?.frozen && lever('thaw', 'Thaw', 't', () => dialogs.thaw()),
      may('block') && lever('block', 'Block…', 'b', () => dialogs.block({})),
      may('kill-selector') && lever('kill', 'Kill…', 'k', () => dialogs.kill({})),
      may('kill-fleet') && h('button', { id: 'kill-all', class: 'danger', onclick: () => dialogs.killAll(), 'aria-keyshortcuts': 'Shift+K' }, 'Kill ALL', h('kbd', null, 'K'))),
    h('span', { class: 'me' },
      h('span', { class: 'who', title: `${state.me.roles.join(', ')}${state.me.owner ? `; owner ${state.me.owner}` : ''}` }, state.me.subject),
      h('button', { id: 'theme', class: 'quiet', onclick: () => { toggleTheme(); changed(); }, 'aria-label': theme() === 'dark' ? 'Switch to light' : 'Switch to dark' }, theme() === 'dark' ? '☀' : '☾'),
      h('button', { id: 'help', class: 'quiet', onclick: () => dialogs.help(help), 'aria-label': 'Help' }, '?'),
      h('button', { id: 'leave', class: 'quiet', onclick: actions.leave }, 'Sign out')),
  ];
}

// gateChip says how the gate is; an open one is pressed to set its rate.
function gateChip(gate) {
  if (gate.frozen) return h('span', { class: 'gate frozen', id: 'gate', key: 'frozen' }, 'FROZEN');
  const text = gate.rate_per_second ? `open, ${gate.rate_per_second}/s` : 'open';
  if (!may('thaw')) return h('span', { class: 'gate open', id: 'gate', key: 'seen' }, text);
  return h('button', { class: 'gate open', id: 'gate', key: 'open', onclick: () => dialogs.thaw(), title: 'Set how fast jobs may start', 'aria-keyshortcuts': 't' }, text);
}

function lever(id, text, key, onclick) {
  return h('button', { id, onclick, 'aria-keyshortcuts': key }, text, h('kbd', null, key));
}

// fresh says how the data come and how old they are.
function fresh() {
  const feed = state.feed;
  if (!feed.seen) return h('span', { class: 'fresh', id: 'fresh', 'data-mode': 'connecting' }, 'connecting…');
  const mode = feed.stale() ? 'stale' : feed.mode;
  const text = { live: 'live', polling: 'polling', stale: 'STALE', connecting: 'connecting' }[mode];
  const redis = state.fleet?.redis_seconds;
  const lag = state.fleet?.control_lag_seconds;
  const dot = mode === 'polling' && !feed.streamPath ? 'live' : mode; // where there is no stream, to poll is no trouble
  return h('span', { class: `fresh ${dot}`, id: 'fresh', 'data-mode': mode },
    h('i', { class: 'dot' }), text, h('span', { class: 'age' }, span(Math.max(feed.age(), 0.1))),
    redis >= 0.001 && mode !== 'stale' && h('span', { class: 'age' }, `redis ${span(redis)}`),
    lag > 0 && mode !== 'stale' && h('span', { class: lag > 1 ? 'age bad' : 'age', id: 'lag', title: 'The longest time from an order’s record to its arrival at a worker, in the last 5 minutes' }, `orders arrive in ${span(lag)}`));
}

export function banners(actions) {
  const gate = state.fleet?.gate;
  const feed = state.feed;
  const kills = [...state.kills.values()].filter((r) => r.order !== state.route.id); // whose page it is, is there whole
  return [
    feed.seen > 0 && feed.stale() && h('p', { key: 'stale', class: 'banner bad' },
      h('b', null, `These data are ${span(feed.age())} old. `),
      feed.problem?.inWords || 'The dispatcher does not answer.',
      ' What you order now may still arrive: the answer will say.'),
    !feed.stale() && feed.mode === 'polling' && feed.streamPath && h('p', { key: 'polling', class: 'banner note' },
      'No event stream comes through (a proxy may hold it back). Polling every 2 s instead.'),
    !feed.seen && feed.problem && h('p', { key: 'down', class: 'banner bad' }, feed.problem.inWords || 'The dispatcher does not answer.'),
    state.fleet?.losses?.length > 0 && h('p', { key: 'lost', class: 'banner bad', id: 'lost' },
      h('b', null, 'Redis lost data. '), `${state.fleet.losses.length === 1 ? 'One partition has' : `${state.fleet.losses.length} partitions have`} an older state than this dispatcher has seen. Nothing starts until an admin adopts what is there; kills work.`,
      may('adopt') && h('button', { onclick: () => dialogs.adopt() }, 'Adopt…', h('kbd', null, 'a'))),
    state.fleet?.missing_partitions?.length > 0 && h('p', { key: 'missing', class: 'banner bad', id: 'missing' },
      h('b', null, `Partitions ${state.fleet.missing_partitions.join(', ')} of ${state.fleet.partitions} cannot be read. `),
      'No number here counts what they hold. A kill-all reaches the others at once and these when they are back.'),
    gate?.frozen && h('p', { key: 'frozen', class: 'banner frozen' },
      h('b', null, 'Frozen '), `by ${gate.actor || 'somebody'}, ${since(gate.frozen_at)} ago: “${gate.reason}”`,
      gate.incident && h('span', { class: 'tag' }, gate.incident),
      ' Nothing is admitted and nothing starts; what runs goes on.',
      may('thaw') && h('button', { onclick: () => dialogs.thaw() }, 'Thaw', h('kbd', null, 't'))),
    state.me.credential === 'break-glass' && h('p', { key: 'glass', class: 'banner bad' }, h('b', null, 'Break-glass credential. '), 'Everything you do is logged loudly.'),
    kills.length > 0 && h('section', { key: 'kills', class: 'kills', 'aria-label': 'Kills' },
      kills.reverse().slice(0, 4).map((r) => killCard(r, actions))),
  ];
}
