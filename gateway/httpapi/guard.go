package httpapi

import (
	"fmt"
	"net/http"

	"github.com/annals-go/annals/gateway"
)

// securityHeaders are those of each answer. What is answered is data: no page may
// hold it in a frame, run it, guess its type or keep it.
var securityHeaders = map[string]string{
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

// guard keeps pages of other origins from changing anything, and has all answers
// carry the security headers.
func (a *api) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w, fmt.Errorf("%w: a page of another origin changes nothing here", gateway.ErrForbidden))
	}))
	guarded := sameOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		guarded.ServeHTTP(w, r)
	})
}

// admitting lets through whose token's roles allow the kind, and has them ask on
// with that token.
func (a *api) admitting(kind gateway.Kind, next http.Handler) http.Handler {
	if a.Tokens == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := Admit(a.Tokens, r, kind)
		if err != nil {
			a.fail(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(gateway.WithToken(r.Context(), token)))
	})
}

// Admit returns the token of a request, if its roles allow the kind. The error
// matches [gateway.ErrUnauthenticated], [gateway.ErrForbidden] or that of the
// verifier.
func Admit(tokens gateway.Verifier, r *http.Request, kind gateway.Kind) (token string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", fmt.Errorf("%w: want one header Authorization with Bearer and a token", gateway.ErrUnauthenticated)
	}
	if token, err = gateway.ParseBearer(values[0]); err != nil {
		return "", err
	}
	who, err := tokens.Verify(token)
	if err != nil {
		return "", err
	}
	if !gateway.Grants(who.Roles, kind) {
		return "", fmt.Errorf("%w: what is asked for is of kind %s, which the roles of the token do not include", gateway.ErrForbidden, kind)
	}
	return token, nil
}
