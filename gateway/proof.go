package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// What is answered at once is allowed or not. A watch goes on, and must end when its
// token is taken back, wherever its view runs: so a node that passes a watch on passes
// its token on, too, and the one that answers it looks again at each beat.

// keepProof notes the token of a request that another node passed on.
func (r *request) keepProof() error {
	if r.msg.Header.Get(HeaderAuthorization) == "" {
		return nil
	}
	token, err := tokenOf(r.msg.Header)
	r.token = token
	return err
}

// passProof gives the token to the node that a watch is passed on to.
func (r *request) passProof(h nats.Header) {
	if r.token != "" && strings.HasPrefix(r.path, pathWatch) {
		h[HeaderAuthorization] = []string{bearer + r.token}
	}
}

// stillHolds looks at the token of a watch again. That it cannot be verified at the
// moment ends nothing: how long it may be believed the identity says.
func (r *request) stillHolds() error {
	tokens := r.gateway.config.Authentication.Tokens
	if r.token == "" || tokens == nil {
		return nil
	}
	who, err := tokens.Verify(r.token)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return err
	case err == nil && who.Principal != r.who.Principal:
		return fmt.Errorf("%w: the token is another's now", ErrUnauthenticated)
	case err == nil && !Grants(who.Roles, KindQuery):
		return fmt.Errorf("%w: the roles of the token do not include %s any more", ErrForbidden, KindQuery)
	}
	return nil
}
