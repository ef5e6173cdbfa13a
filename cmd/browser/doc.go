// Package browser holds the tests of the console in a real browser: every
// action, against a real dispatcher, real workers and a real Redis. They are
// behind the build tag browser, because they want Chromium and axe: run them
// with make browser. The screenshots that they take are in bin/screenshots, to
// be looked at.
package browser
