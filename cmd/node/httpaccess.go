package node

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/access"
)

// httpFlags say who may come over HTTP, and how. The tokens are good over NATS,
// too.
type httpFlags struct {
	cert, key        string
	tokens           string
	jwks             string
	audience, issuer string
	rolesClaim       string
	required         bool
	named            []string
	quotas           []string
	probes           string
	perClient        int
}

func (f *httpFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.cert, "http-cert", "", "`FILE` with the TLS certificate for HTTP, and those that lead to its authority")
	flags.StringVar(&f.key, "http-key", "", "`FILE` with its key")
	flags.StringVar(&f.tokens, "http-tokens", "", "`FILE` with the hashes of tokens, as token new prints them; the gateway takes the same ones in Annals-Authorization")
	flags.StringVar(&f.jwks, "http-jwks", "", "`PLACE`, a file or a URL, with the keys of an issuer of JSON Web Tokens, likewise")
	flags.StringVar(&f.audience, "http-audience", "", "`NAME` that the claim aud of such a token must have")
	flags.StringVar(&f.issuer, "http-issuer", "", "`NAME` that its claim iss must have (default: any)")
	flags.StringVar(&f.rolesClaim, "http-roles-claim", "roles", "the `CLAIM` with its roles; a dot leads into an object")
	flags.StringVar(&f.probes, "probes", "", "`HOST:PORT` for /livez, /readyz and /metrics alone (default: they are at --http)")
	flags.IntVar(&f.perClient, "http-per-client", maxPerClient, "the most `CONNECTIONS` over HTTP of one IPv4 address or IPv6 network (/64), 1 to 1024; more are closed at once")
	flags.StringArrayVar(&f.quotas, "quota", nil, quotaHelp)
	flags.StringArrayVar(&f.named, "named", nil, namedHelp)
	flags.BoolVar(&f.required, "require-identity", false, "refuse requests over NATS too that neither a subject as.PRINCIPAL nor a token gives a name")
}

// httpAccess is what they come to. The zero value asks nobody and encrypts
// nothing.
type httpAccess struct {
	tokens   *access.Access // nil: nobody is asked who they are
	required bool
	named    map[string][]string // nil: the permissions of the servers decide alone
	quotas   gateway.Quotas
	tls      *tls.Config // nil: without
	probes   *address    // nil: where the API is
	most     int         // connections of a client; 0: maxPerClient
}

// connections is how many a client may have.
func (a httpAccess) connections() int { return cmp.Or(a.most, maxPerClient) }

// access checks the flags, for what listens at an address.
func (f *httpFlags) access(s *Session, at address) (a httpAccess, err error) {
	a.required = f.required
	if a.quotas, err = parseQuotas(f.quotas); err != nil {
		return a, err
	}
	if a.named, err = parseNamed(f.named); err != nil {
		return a, err
	}
	if err = f.listeners(&a); err != nil {
		return a, err
	}
	if f.tokens != "" || f.jwks != "" {
		a.tokens, err = access.New(access.Config{
			TokenFile: f.tokens, JWKS: f.jwks, Audience: f.audience, Issuer: f.issuer, RolesClaim: f.rolesClaim, Logger: s.Logger(),
		})
		if err != nil {
			return a, Usage("--http-tokens, --http-jwks, --http-audience: %v", err)
		}
	}
	if f.cert != "" || f.key != "" {
		pair := &certificate{cert: f.cert, key: f.key}
		if _, err := pair.get(nil); err != nil {
			return a, Usage("--http-cert, --http-key: %v", err)
		}
		a.tls = &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"}}
	}
	if err := a.closedTo("http", at); err != nil || a.probes == nil {
		return a, err
	}
	return a, a.closedTo("probes", *a.probes)
}

// listeners reads what is said about addresses and their connections.
func (f *httpFlags) listeners(a *httpAccess) error {
	if a.most = f.perClient; a.most < 0 || a.most > maxConnections { // 0: there is no such flag
		return Usage("--http-per-client is %d; want 1 to %d", a.most, maxConnections)
	}
	if f.probes == "" {
		return nil
	}
	probes, err := parseAddress("probes", f.probes, true)
	a.probes = &probes
	return err
}

// closedTo refuses an address that others reach without being asked who they are.
func (a httpAccess) closedTo(flag string, at address) error {
	if !at.public() || a.tokens != nil && a.tls != nil {
		return nil
	}
	u := Usage("--%s %s: others than this machine reach it, and it would %s", flag, at, a.lacks())
	u.Fix = "give --http-cert and --http-key, and --http-tokens or --http-jwks; or listen on 127.0.0.1"
	return u
}

func (a httpAccess) lacks() string {
	switch {
	case a.tls != nil:
		return "ask nobody who they are"
	case a.tokens != nil:
		return "not be encrypted"
	}
	return "neither ask who they are nor be encrypted"
}

func (a httpAccess) scheme() string {
	if a.tls != nil {
		return "https://"
	}
	return "http://"
}

// verifier is nil if there is none: an interface that holds a nil pointer is not.
func (a httpAccess) verifier() gateway.Verifier {
	if a.tokens == nil {
		return nil
	}
	return a.tokens
}

// authentication is the gateway's.
func (a httpAccess) authentication() gateway.Authentication {
	return gateway.Authentication{Tokens: a.verifier(), Required: a.required, Named: a.named}
}

// certificate is a pair of files that may be replaced while the process runs.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	looked time.Time // when the files were last looked at
	stamp  string    // what they looked like when they were loaded
}

// lookAgain is how long a certificate is used without a look at its files.
const lookAgain = 5 * time.Second

// get returns the certificate that the files hold; one that cannot be loaded does
// not replace one that was.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookAgain {
		return c.loaded, nil
	}
	c.looked = time.Now()
	stamp, err := stampOf(c.cert, c.key)
	if err == nil && stamp != c.stamp {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.loaded, c.stamp = &pair, stamp
		}
	}
	if c.loaded != nil {
		return c.loaded, nil
	}
	return nil, err
}

func stampOf(names ...string) (stamp string, err error) {
	for _, name := range names {
		if name == "" {
			return "", errors.New("both a certificate and its key are needed")
		}
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
	}
	return stamp, nil
}
