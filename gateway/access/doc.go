// Package access tells whose token a request carries: random tokens whose hashes
// stand in a file, and JSON Web Tokens that an issuer signs.
//
// It owns the form of both, the file of the former, the keys of the issuer and how
// long they are believed, and which claims name a principal and roles. It answers
// from memory. It never decides what a role may do, sees no password, and keeps
// nothing secret: hashes and public keys only.
//
//	a, err := access.New(access.Config{TokenFile: "tokens", JWKS: "https://issuer.example/jwks.json", Audience: "bank"})
//	go a.Run(ctx)
//	gateway.Config{Authentication: gateway.Authentication{Tokens: a}}
package access
