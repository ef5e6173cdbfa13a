// Package console is the page for the person on call: what the fleet does and
// costs, live, and the levers to stop it. It is static: HTML, style sheets and
// JavaScript modules, embedded as they are written, without a build step and
// without anything from elsewhere.
//
// It is no second door. The page asks the API like every other client, with the
// credential that its user types in, and can do nothing that the API would not
// let that user do. The files themselves are no secret and need no credential.
//
// # The credential
//
// The page keeps it in sessionStorage: it lives as long as the tab, is not sent
// by the browser on its own (so a foreign page cannot act in its user's name, as
// it could with a cookie), and no other origin can read it. What could is a
// foreign script in the page, and the policy in headers lets none run: scripts
// come from this origin only, none inline, none made from text, and the page may
// connect to its own origin alone. An EventSource cannot send a credential, so
// the event streams are read with fetch.
//
// # Invariants
//
// Only GET and HEAD, only files that are embedded, each with the whole set of
// headers. The page says how old its data are, and that they are stale as soon
// as they are. It says that work has stopped only when a receipt is quiesced.
//
// # When things fail
//
// A stream that does not come through is replaced by polling, and tried again.
// A dispatcher that does not answer leaves what was last seen on the page,
// marked as stale. A refused request is shown in the words of its problem.
//
// # Files
//
//	console.go the handler and its headers
//	web/       the page: app (start, routes), api (requests), live (streams and
//	           polling), dom (drawing), overview, job, receipt, keys; dialog (the one there is),
//	           dialogs (kills), gate, blocks, resume
package console
