package web

import (
	"cmp"
	"crypto/tls"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/access"
)

// Access says who may come over HTTP, and how. The zero value asks nobody and
// encrypts nothing; of those who reach the address it lets in all.
type Access struct {
	// Tokens are what those who come are asked for; nil: nobody is asked who they
	// are.
	Tokens *access.Access
	// TLS is what is spoken; nil: HTTP without.
	TLS *tls.Config
	// Probes is where probes and metrics are instead; nil: where the API is.
	Probes *Address
	// PerClient bounds the connections of a client. Default: 256, of 1024.
	PerClient int
}

// connections is how many a client may have.
func (a Access) connections() int { return cmp.Or(a.PerClient, maxPerClient) }

// closedTo refuses an address that others reach without being asked who they are.
func (a Access) closedTo(flag string, at Address) error {
	if !at.Public() || a.Tokens != nil && a.TLS != nil {
		return nil
	}
	u := console.Usage("--%s %s: others than this machine reach it, and it would %s", flag, at, a.lacks())
	u.Fix = "give --http-cert and --http-key, and --http-tokens or --http-jwks; or listen on 127.0.0.1"
	return u
}

func (a Access) lacks() string {
	switch {
	case a.TLS != nil:
		return "ask nobody who they are"
	case a.Tokens != nil:
		return "not be encrypted"
	}
	return "neither ask who they are nor be encrypted"
}

func (a Access) scheme() string {
	if a.TLS != nil {
		return "https://"
	}
	return "http://"
}

// Verifier knows the tokens. It is nil if there are none: an interface that holds a nil pointer is not.
func (a Access) Verifier() gateway.Verifier {
	if a.Tokens == nil {
		return nil
	}
	return a.Tokens
}
