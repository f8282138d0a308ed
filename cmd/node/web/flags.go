package web

import (
	"crypto/tls"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway/access"
)

// Flags say who may come over HTTP, and how. The tokens are good over NATS,
// too. The zero value is that of a command line without them.
type Flags struct {
	cert, key        string
	tokens           string
	jwks             string
	audience, issuer string
	rolesClaim       string
	probes           string
	perClient        int
}

// AddTo adds the flags to those of a command.
func (f *Flags) AddTo(set *pflag.FlagSet) {
	set.StringVar(&f.cert, "http-cert", "", "`FILE` with the TLS certificate for HTTP, and those that lead to its authority")
	set.StringVar(&f.key, "http-key", "", "`FILE` with its key")
	set.StringVar(&f.tokens, "http-tokens", "", "`FILE` with the hashes of tokens, as token new prints them; the gateway takes the same ones in Annals-Authorization")
	set.StringVar(&f.jwks, "http-jwks", "", "`PLACE`, a file or a URL, with the keys of an issuer of JSON Web Tokens, likewise")
	set.StringVar(&f.audience, "http-audience", "", "`NAME` that the claim aud of such a token must have")
	set.StringVar(&f.issuer, "http-issuer", "", "`NAME` that its claim iss must have (default: any)")
	set.StringVar(&f.rolesClaim, "http-roles-claim", "roles", "the `CLAIM` with its roles; a dot leads into an object")
	set.StringVar(&f.probes, "probes", "", "`HOST:PORT` for /livez, /readyz and /metrics alone (default: they are at --http)")
	set.IntVar(&f.perClient, "http-per-client", maxPerClient, "the most `CONNECTIONS` over HTTP of one IPv4 address or IPv6 network (/64), 1 to 1024; more are closed at once")
}

// Access checks the flags, for what listens at an address, and loads what they
// name. The error is a [*console.Failure].
func (f *Flags) Access(at Address, logger *slog.Logger) (a Access, err error) {
	if err = f.listeners(&a); err != nil {
		return a, err
	}
	if f.tokens != "" || f.jwks != "" {
		a.Tokens, err = access.New(access.Config{
			TokenFile: f.tokens, JWKS: f.jwks, Audience: f.audience, Issuer: f.issuer, RolesClaim: f.rolesClaim, Logger: logger,
		})
		if err != nil {
			return a, console.Usage("--http-tokens, --http-jwks, --http-audience: %v", err)
		}
	}
	if f.cert != "" || f.key != "" {
		pair := &certificate{cert: f.cert, key: f.key}
		if _, err := pair.get(nil); err != nil {
			return a, console.Usage("--http-cert, --http-key: %v", err)
		}
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	if err := a.closedTo("http", at); err != nil || a.Probes == nil {
		return a, err
	}
	return a, a.closedTo("probes", *a.Probes)
}

// listeners reads what is said about addresses and their connections.
func (f *Flags) listeners(a *Access) error {
	if a.PerClient = f.perClient; a.PerClient < 0 || a.PerClient > maxConnections { // 0: there is no such flag
		return console.Usage("--http-per-client is %d; want 1 to %d", a.PerClient, maxConnections)
	}
	if f.probes == "" {
		return nil
	}
	probes, err := ParseAddress("probes", f.probes, true)
	a.Probes = &probes
	return err
}
