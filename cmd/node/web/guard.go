package web

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
)

// protect wraps what a process serves: with TLS browsers are told to come back
// with it only.
func (a Access) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.TLS != nil {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// local refuses requests for another machine, where nobody is asked who they are.
// A page that has its own name lead to 127.0.0.1 would otherwise be of the same
// origin as what answers there.
func (a Access) local(next http.Handler) http.Handler {
	if a.Tokens != nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host) {
			refuseHTTP(w, fmt.Errorf("%w: %q is not a name of this machine", gateway.ErrForbidden, r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocalName reports whether a Host header names an address by number, or this
// machine by the one name that nobody else can give away.
func isLocalName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return name == "" || strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil
}

// admitting lets through whose token is good for a kind; everybody, where nobody is
// asked.
func (a Access) admitting(kind gateway.Kind, next http.Handler) http.Handler {
	if a.Tokens == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := httpapi.Admit(a.Tokens, r, kind); err != nil {
			refuseHTTP(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sees reports whether the asker may see how the system is doing.
func (a Access) sees(r *http.Request) bool {
	if a.Tokens == nil {
		return true
	}
	_, err := httpapi.Admit(a.Tokens, r, gateway.KindInspect)
	return err == nil
}

// refuseHTTP answers with the body and the number that an error has everywhere.
func refuseHTTP(w http.ResponseWriter, err error) {
	e := gateway.ErrorOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(gateway.HeaderError, string(e.Code))
	if e.Code == gateway.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e) // who does not read it has gone
}
