// Package token reads bearer tokens of an OpenID Connect identity provider: a
// JWT becomes an actor, or is refused.
//
// It issues nothing, keeps no session and follows no redirect of a browser: a
// caller comes with a token that the provider has given them.
//
// # What is checked
//
// The issuer and the audience are those configured, to the letter; the algorithm
// is one of a fixed list of asymmetric ones, so that neither "none" nor an HMAC
// over a public key is ever tried; the signature is by a key that the provider
// publishes now; exp is there and not past, nbf and iat are not to come, with a
// leeway of a minute. Then claims of configured names say who it is: subject,
// owner, roles. A token that names no role known here is refused. A token is
// never a break-glass credential.
//
// A bearer token can be replayed by whoever holds it until it expires: give
// tokens minutes, not days.
//
// # Keys
//
// The provider's discovery document and keys are fetched when they are first
// needed, again after five minutes, and at once for a key id that is not known;
// but not more often than every ten seconds, whatever ids callers make up. A key
// id is compared with ids and never used as a name of anything.
//
// # When things fail
//
// A provider that does not answer leaves the keys last fetched in force for an
// hour; after that, or without any, tokens are not believed: [access.ErrUnasked].
// A process starts without its provider.
//
// # Files
//
//	token.go   the configuration, a token checked
//	claims.go  who the claims say it is
//	keyset.go  the provider's keys: fetched, kept, rotated
package token
