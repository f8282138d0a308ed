package access

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Config says which tokens are known. TokenFile or JWKS is needed; with JWKS,
// Audience is.
type Config struct {
	// TokenFile has a line for each random token, as [NewToken] makes it. It is read
	// again every Reload, so that a line taken out ends its token. Empty: none.
	TokenFile string
	// JWKS is where an issuer's public keys are: a file, or an https URL (http on the
	// loopback interface). Empty: JSON Web Tokens are not accepted.
	JWKS string
	// Audience is what the claim aud of a token must name: an issuer signs tokens for
	// others, too.
	Audience string
	// Issuer is what the claim iss must be. Empty: anything that the keys sign.
	Issuer string
	// RolesClaim is the claim with the roles: a list, or a text with spaces between;
	// a dot leads into an object. Default "roles".
	RolesClaim string
	// Reload is how often files are read again. Default 5 s.
	Reload time.Duration
	// Refresh is how often keys are fetched from a URL. Default 5 min. A token with an
	// unknown key has them fetched sooner, but not before MinRefresh has passed.
	Refresh time.Duration
	// MinRefresh is the least time between two fetches. Default 10 s: strangers make
	// up keys as they like.
	MinRefresh time.Duration
	// MaxAge is how long keys are believed that cannot be fetched again. Default 1 h.
	MaxAge time.Duration
	// Client fetches the keys. Default: one that gives up after 10 s.
	Client *http.Client
	// Logger is told what cannot be read. Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Reload, 5 * time.Second}, {&c.Refresh, 5 * time.Minute}, {&c.MinRefresh, 10 * time.Second}, {&c.MaxAge, time.Hour}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.RolesClaim == "" {
		c.RolesClaim = "roles"
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: secureRedirect}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	invalid := func(field, reason string) error {
		return &store.InvalidError{What: "access config", Value: field, Reason: reason}
	}
	switch {
	case c.TokenFile == "" && c.JWKS == "":
		return invalid("TokenFile, JWKS", "one of them is needed")
	case c.JWKS != "" && c.Audience == "":
		return invalid("Audience", "it is needed with JWKS: an issuer signs tokens for others, too")
	case c.Reload < 0 || c.Refresh < 0 || c.MinRefresh < 0 || c.MaxAge < 0:
		return invalid("durations", "must not be negative")
	}
	return nil
}

// Access knows tokens: it is a [gateway.Verifier], and a [gateway.Prover]. It may be used from many
// goroutines.
type Access struct {
	config Config
	source source
	parser parser

	tokens atomic.Pointer[[]entry]
	keys   atomic.Pointer[keySet]
	wanted chan struct{} // has something when a token had an unknown key

	mu       sync.Mutex
	verified map[digest]gateway.Identity // of the keys that are known now
}

// maxVerified is how many tokens are remembered as good, so that a signature is
// not computed for each request.
const maxVerified = 4096

// New reads the files; it fetches nothing and starts nothing. The error is an
// [*store.InvalidError], also if a file cannot be read or understood.
func New(config Config) (*Access, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	a := &Access{config: config, parser: newParser(config), wanted: make(chan struct{}, 1), verified: map[digest]gateway.Identity{}}
	a.tokens.Store(&[]entry{})
	if err := a.readTokens(); err != nil {
		return nil, err
	}
	var err error
	if a.source, err = newSource(config); err != nil {
		return nil, err
	}
	if a.source.isFile() {
		if err := a.readKeys(context.Background()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Run keeps tokens and keys up to date until ctx ends, and returns nil.
func (a *Access) Run(ctx context.Context) error {
	files := time.NewTicker(a.config.Reload)
	defer files.Stop()
	fetch := time.NewTimer(0)
	defer fetch.Stop()
	var last time.Time // of the last fetch
	for {
		wanted := a.wanted
		if time.Since(last) < a.config.MinRefresh {
			wanted = nil
		}
		select {
		case <-files.C:
			a.tell("token file", a.readTokens())
			if a.source.isFile() {
				a.tell("keys", a.readKeys(ctx))
			}
			continue
		case <-wanted:
		case <-fetch.C:
		case <-ctx.Done():
			return nil
		}
		if !a.source.isURL() {
			continue
		}
		last = time.Now()
		err := a.readKeys(ctx)
		a.tell("keys", err)
		fetch.Reset(a.config.Refresh)
		if err != nil {
			fetch.Reset(a.config.MinRefresh)
		}
	}
}

func (a *Access) tell(what string, err error) {
	if err != nil {
		a.config.Logger.Error("cannot be read; what was known before holds for now", "what", what, "err", err)
	}
}

// Proof implements [gateway.Prover]: the hash of a random token, as it stands in the file. What an issuer
// signed holds until its end.
func (a *Access) Proof(token string) string {
	if !isRandom(token) {
		return ""
	}
	sum := digestOf(token)
	return hex.EncodeToString(sum[:])
}

// Proven implements [gateway.Prover].
func (a *Access) Proven(proof string) (gateway.Identity, error) {
	var sum digest
	if len(proof) != hex.EncodedLen(len(sum)) {
		return gateway.Identity{}, fmt.Errorf("%w: no proof of a token", gateway.ErrUnauthenticated)
	}
	if _, err := hex.Decode(sum[:], []byte(proof)); err != nil {
		return gateway.Identity{}, fmt.Errorf("%w: no proof of a token", gateway.ErrUnauthenticated)
	}
	return find(*a.tokens.Load(), sum)
}

// Verify implements [gateway.Verifier].
func (a *Access) Verify(token string) (gateway.Identity, error) {
	if isRandom(token) {
		return find(*a.tokens.Load(), digestOf(token))
	}
	if a.config.JWKS == "" {
		return gateway.Identity{}, fmt.Errorf("%w: the token is none of those that are known here", gateway.ErrUnauthenticated)
	}
	keys := a.keys.Load()
	if keys == nil || time.Since(keys.at) > a.config.MaxAge {
		a.want()
		return gateway.Identity{}, fmt.Errorf("%w: the keys of the issuer of tokens are not known at the moment", store.ErrUnavailable)
	}
	sum := digestOf(token)
	if who, ok := a.remembered(sum); ok {
		return who, nil
	}
	who, err := a.parser.read(token, keys)
	if isUnknownKey(err) {
		a.want() // the issuer may have a new one
	}
	if err == nil {
		a.remember(keys, sum, who)
	}
	return who, err
}

// want has the keys fetched soon.
func (a *Access) want() {
	select {
	case a.wanted <- struct{}{}:
	default: // that is already wanted
	}
}

func (a *Access) remembered(sum digest) (gateway.Identity, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	who, ok := a.verified[sum]
	if ok && !time.Now().Before(who.Until) {
		delete(a.verified, sum)
		return gateway.Identity{}, false
	}
	return who, ok
}

// remember keeps a token that keys verified, unless others hold by now.
func (a *Access) remember(keys *keySet, sum digest, who gateway.Identity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if keys != a.keys.Load() {
		return
	}
	if len(a.verified) >= maxVerified {
		clear(a.verified) // those in use come back at once
	}
	a.verified[sum] = who
}

// replace has other keys hold from now on, and what the old ones verified forgotten.
func (a *Access) replace(keys *keySet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys.Store(keys)
	clear(a.verified)
}
