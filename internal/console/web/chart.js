// The last hour's spending, a bar a minute, with the baseline across.

import { h, money } from './dom.js';

const W = 600;
const H = 100;

export function hour(minutes, baseline) {
  const top = Math.max(1, baseline * 1.15, ...minutes.map((m) => m.micro_usd));
  const step = W / Math.max(minutes.length, 1);
  const y = (v) => H - (v / top) * (H - 2);
  const peak = Math.max(0, ...minutes.map((m) => m.micro_usd));
  return h('figure', { class: 'hour' },
    h('svg', { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Spending of the last hour, minute by minute: at most ${money(peak)}; the baseline is ${money(baseline)} a minute.` },
      [0.25, 0.5, 0.75].map((f) => h('line', { class: 'rule', x1: 0, x2: W, y1: H * f, y2: H * f })),
      minutes.map((m, i) => h('rect', { class: baseline > 0 && m.micro_usd > 3 * baseline ? 'bar high' : 'bar', x: (i * step).toFixed(2), width: (step * 0.78).toFixed(2), y: y(m.micro_usd).toFixed(2), height: (H - y(m.micro_usd)).toFixed(2) })),
      baseline > 0 && h('line', { class: 'base', x1: 0, x2: W, y1: y(baseline), y2: y(baseline) })),
    h('figcaption', null, h('span', null, '60 min ago'), h('span', null, `peak ${money(peak)}`, baseline > 0 && `, baseline ${money(baseline)} /min`), h('span', null, 'now')));
}
