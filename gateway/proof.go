package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// What is answered at once is allowed or not. A watch goes on, and must end when its
// token is taken back, wherever its view runs. The token stays at the node that took
// it in, for whoever hears what nodes say to each other could ask with it: a watch that
// is passed on takes a proof along, and the node that answers it looks again at each beat.

// Prover is a [Verifier] that knows tokens by something that nobody can ask with.
type Prover interface {
	// Proof returns by what another node knows the token, as a text fit for a header. Empty: it cannot be
	// taken back before its end, and nobody needs to look.
	Proof(token string) string
	// Proven returns whom the token with a proof was given to. It answers from memory; errors are those
	// of Verify.
	Proven(proof string) (Identity, error)
}

// maxProofBytes bounds a proof.
const maxProofBytes = 256

// keepProof notes the proof of a request that another node passed on. Tokens are none of what nodes tell each other.
func (r *request) keepProof() error {
	for name := range r.msg.Header {
		if strings.EqualFold(name, HeaderAuthorization) {
			return &store.InvalidError{What: "header", Value: name, Reason: "a token stays at the node that took it in"}
		}
	}
	if r.proof = r.msg.Header.Get(HeaderProof); len(r.proof) > maxProofBytes {
		return &store.InvalidError{What: "header", Value: HeaderProof, Reason: "it is too long"}
	}
	return nil
}

// passProof gives the proof of a token to the node that a watch is passed on to.
func (r *request) passProof(h nats.Header) {
	if !strings.HasPrefix(r.path, pathWatch) {
		return
	}
	proof := r.proof
	if p, is := r.gateway.config.Authentication.Tokens.(Prover); is && r.token != "" {
		proof = p.Proof(r.token)
	}
	if proof != "" {
		h[HeaderProof] = []string{proof}
	}
}

// known is whom the token of a request is given to now; known is false if there is none that could be looked up.
func (r *request) known() (who Identity, known bool, err error) {
	tokens := r.gateway.config.Authentication.Tokens
	if r.token != "" && tokens != nil {
		who, err = tokens.Verify(r.token)
		return who, true, err
	}
	if p, is := tokens.(Prover); is && r.proof != "" {
		who, err = p.Proven(r.proof)
		return who, true, err
	}
	return who, false, nil
}

// stillHolds looks at the token of a watch again. That it cannot be verified at the
// moment ends nothing: how long it may be believed the identity says.
func (r *request) stillHolds() error {
	who, known, err := r.known()
	switch {
	case !known:
		return nil
	case errors.Is(err, ErrUnauthenticated):
		return err
	case err == nil && who.Principal != r.who.Principal:
		return fmt.Errorf("%w: the token is another's now", ErrUnauthenticated)
	case err == nil && !Grants(who.Roles, KindQuery):
		return fmt.Errorf("%w: the roles of the token do not include %s any more", ErrForbidden, KindQuery)
	}
	return nil
}
