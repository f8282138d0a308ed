package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// Identity is whom a request comes from, once that is certain. The zero value is
// nobody known: an anonymous asker.
type Identity struct {
	// Principal names the asker, in at most [store.MaxIDBytes] bytes. It is stored
	// with the asker's commands.
	Principal string
	// Roles say what the asker may do, if a token said so, or [Authentication].
	Roles []string
	// Until is when this ends to hold, and with it a watch. Zero: it does not.
	Until time.Time

	// binding says that the asker may do no more than its roles allow.
	binding bool
}

// Verifier tells whose token a request carries.
type Verifier interface {
	// Verify returns whom a token was given to. It must answer from memory: it is
	// called where commands are taken in. The error matches [ErrUnauthenticated],
	// or [store.ErrUnavailable] while that cannot be told.
	Verify(token string) (Identity, error)
}

// Authentication says how a gateway knows who asks, beside the subjects
// <ns>.as.PRINCIPAL.…, whose principal the permissions of the NATS server
// guarantee. The zero value verifies no tokens and serves the anonymous, too.
type Authentication struct {
	// Tokens verifies the tokens of the header [HeaderAuthorization]. Nil: a request
	// with one is refused.
	Tokens Verifier
	// Required refuses requests of nobody known.
	Required bool
	// Named are the roles of askers whom a subject names and no token, and they bind
	// as those of a token do. Who is not in it, and who gives no name, has [RoleClient]: to
	// leave the name out opens nothing. It is a second lock behind the permissions of
	// the NATS server. Nil: these alone decide.
	Named map[string][]string
}

// ErrUnauthenticated says that it is not known who asks: [CodeUnauthenticated].
var ErrUnauthenticated = errors.New("unauthenticated")

// bearer begins the value of [HeaderAuthorization].
const bearer = "Bearer "

// maxTokenBytes bounds a token; what issuers sign takes one or two KiB.
const maxTokenBytes = 8 << 10

// identify tells who asks, by the subject and the token of a request. What other
// nodes pass on names the asker in headers: only nodes may publish there.
func (g *Gateway) identify(r *request, principal string) (Identity, error) {
	if r.endpoint.passed {
		if err := r.keepProof(); err != nil {
			return Identity{}, err
		}
		return passedIdentity(r.msg.Header)
	}
	token, err := tokenOf(r.msg.Header)
	switch {
	case err != nil:
		return Identity{}, err
	case token != "":
		r.token = token
		return g.verified(token)
	case principal == "" && g.config.Authentication.Required:
		return Identity{}, fmt.Errorf("%w: want a token in %s, or a subject that names you: %s", ErrUnauthenticated, HeaderAuthorization, g.subjects.as("PRINCIPAL"))
	}
	return g.config.Authentication.named(principal), nil
}

// named is whom a subject names, "" if it names nobody.
func (a Authentication) named(principal string) Identity {
	who := Identity{Principal: principal}
	if a.Named == nil {
		return who
	}
	who.binding = true
	if who.Roles = a.Named[principal]; who.Roles == nil {
		who.Roles = []string{RoleClient}
	}
	return who
}

func (g *Gateway) verified(token string) (Identity, error) {
	v := g.config.Authentication.Tokens
	if v == nil {
		return Identity{}, fmt.Errorf("%w: tokens are not verified here", ErrUnauthenticated)
	}
	who, err := v.Verify(token)
	if err != nil {
		return Identity{}, err
	}
	if bad := checkText(HeaderPrincipal, who.Principal, store.MaxIDBytes); bad != nil {
		return Identity{}, fmt.Errorf("%w: the principal of the token: %w", ErrUnauthenticated, bad)
	}
	who.binding = true
	return who, nil
}

// tokenOf returns the token of a request, "" if it has none.
func tokenOf(h nats.Header) (token string, err error) {
	found := false
	for name, values := range h {
		if !strings.EqualFold(name, HeaderAuthorization) {
			continue
		}
		if found || len(values) != 1 {
			return "", &store.InvalidError{What: "header", Value: HeaderAuthorization, Reason: "given more than once"}
		}
		found = true
		if token, err = ParseBearer(values[0]); err != nil {
			return "", err
		}
	}
	return token, nil
}

// ParseBearer reads the value of [HeaderAuthorization], "Bearer TOKEN". The error
// matches [ErrUnauthenticated].
func ParseBearer(value string) (token string, err error) {
	if len(value) < len(bearer) || !strings.EqualFold(value[:len(bearer)], bearer) {
		return "", fmt.Errorf("%w: want Bearer and a token", ErrUnauthenticated)
	}
	token = strings.TrimSpace(value[len(bearer):])
	if token == "" || len(token) > maxTokenBytes {
		return "", fmt.Errorf("%w: the token has %d bytes, out of [1, %d]", ErrUnauthenticated, len(token), maxTokenBytes)
	}
	return token, nil
}

// passedIdentity reads what another node found out, as [Identity.headers] wrote
// it.
func passedIdentity(h nats.Header) (who Identity, err error) {
	text := h.Get(HeaderPrincipal)
	if who.Principal, err = url.QueryUnescape(text); err != nil {
		return who, &store.InvalidError{What: "header " + HeaderPrincipal, Value: text, Reason: "it is not escaped as nodes do"}
	}
	if until := h.Get(HeaderUntil); until != "" {
		if who.Until, err = time.Parse(time.RFC3339, until); err != nil {
			return who, &store.InvalidError{What: "header " + HeaderUntil, Value: until, Reason: "want a time in RFC 3339"}
		}
	}
	return who, nil
}

// headers tells another node who asks. What it may do was decided here, so its
// roles stay here.
func (who Identity) headers(h nats.Header) {
	if who.Principal != "" {
		h[HeaderPrincipal] = []string{url.QueryEscape(who.Principal)} // a header loses spaces
	}
	if !who.Until.IsZero() {
		h[HeaderUntil] = []string{who.Until.UTC().Format(time.RFC3339)}
	}
}

// within bounds ctx by how long the identity holds.
func (who Identity) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if who.Until.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, who.Until, fmt.Errorf("%w: the token has expired", ErrUnauthenticated))
}

// tokenKey is where a context has its token.
type tokenKey struct{}

// WithToken has what a [Client] asks under the context ask with a token, in place
// of the client's own.
func WithToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// authorize adds the token of the context, or the client's own, to the headers of
// a request.
func (c *Client) authorize(ctx context.Context, h nats.Header) {
	token, given := ctx.Value(tokenKey{}).(string)
	if !given && c.config.Token != nil {
		token = c.config.Token()
	}
	if token != "" {
		h[HeaderAuthorization] = []string{bearer + token}
	}
}
