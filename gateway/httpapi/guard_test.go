package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// roles knows a token for each role, and one for none.
type roles struct{}

func (roles) Verify(token string) (gateway.Identity, error) {
	switch token {
	case "unknown":
		return gateway.Identity{}, fmt.Errorf("%w: an unknown token", gateway.ErrUnauthenticated)
	case "later":
		return gateway.Identity{}, fmt.Errorf("%w: no keys", store.ErrUnavailable)
	}
	return gateway.Identity{Principal: "p", Roles: strings.Split(token, ",")}, nil
}

// bodyFor is one that a path takes.
func bodyFor(path string) string {
	if strings.HasSuffix(path, "/forget") {
		return `{"why":"asked for it"}`
	}
	return `{"position":1,"views":["totals"]}`
}

// Each path wants a token, of a role that it is for; without, nobody is asked.
func TestWhoMayAskWhat(t *testing.T) {
	t.Parallel()
	f := &fake{watch: func(context.Context) iter.Seq2[projector.Document, error] {
		return func(func(projector.Document, error) bool) {}
	}}
	url := serve(t, httpapi.Config{Client: f, Tokens: roles{}})
	const all = "client viewer operator privacy-officer admin"
	paths := map[string]string{ // who may
		"POST /v1/commands/account/1/open":     "client operator admin",
		"POST /v1/wait":                        all,
		"GET /v1/views/totals/a":               all,
		"GET /v1/views/totals":                 all,
		"GET /v1/watch/totals":                 all,
		"GET /v1/info":                         all,
		"GET /v1/aggregates/account/1":         "viewer operator privacy-officer admin",
		"GET /v1/aggregates/account/1/history": "viewer operator privacy-officer admin",
		"GET /v1/aggregates/account/1/changes": "viewer operator privacy-officer admin",
		"GET /v1/aggregates/account/1/diff":    "viewer operator privacy-officer admin",
		"GET /v1/subjects/c-1":                 "privacy-officer admin",
		"GET /v1/subjects":                     "privacy-officer admin",
		"POST /v1/subjects/c-1/forget":         "privacy-officer admin",
		"GET /v1/projections":                  "viewer operator privacy-officer admin",
	}
	for place, may := range paths {
		method, path, _ := strings.Cut(place, " ")
		for _, role := range append(gateway.Roles(), "boss", "") {
			want := http.StatusForbidden
			if role != "" && strings.Contains(" "+may+" ", " "+role+" ") {
				want = http.StatusOK
			}
			if role == "" {
				want = http.StatusUnauthorized
			}
			headers := append([]string{"Authorization", "Bearer " + role}, inJSON...)
			status, header, body := ask(t, method, url+path, bodyFor(path), headers...)
			if status != want || (header.Get("WWW-Authenticate") != "") != (want == http.StatusUnauthorized) {
				t.Errorf("%s as %q: %d, want %d: %s", place, role, status, want, body)
			}
			if asked := len(f.questions()) > 0; asked != (want == http.StatusOK) {
				t.Errorf("%s as %q: somebody was asked: %v", place, role, asked)
			}
			f.forget()
		}
	}
	tried := http.NewServeMux() // which path takes which place
	for _, pattern := range httpapi.Routes(httpapi.Config{Client: f}) {
		tried.Handle(pattern, http.NotFoundHandler())
	}
	missing := map[string]bool{}
	for _, pattern := range httpapi.Routes(httpapi.Config{Client: f}) {
		missing[pattern] = true
	}
	for place := range paths {
		method, path, _ := strings.Cut(place, " ")
		_, pattern := tried.Handler(httptest.NewRequest(method, path, nil))
		delete(missing, pattern)
	}
	for pattern := range missing {
		t.Errorf("%s: who may ask that? No path of this test leads there", pattern)
	}
	for what, c := range map[string]struct {
		headers []string
		code    gateway.Code
	}{
		"none":              {nil, gateway.CodeUnauthenticated},
		"another scheme":    {[]string{"Authorization", "Basic YTpi"}, gateway.CodeUnauthenticated},
		"no token":          {[]string{"Authorization", "Bearer"}, gateway.CodeUnauthenticated},
		"an unknown one":    {[]string{"Authorization", "Bearer unknown"}, gateway.CodeUnauthenticated},
		"a long one":        {[]string{"Authorization", "Bearer " + strings.Repeat("x", 9<<10)}, gateway.CodeUnauthenticated},
		"not now":           {[]string{"Authorization", "Bearer later"}, gateway.CodeUnavailable},
		"who it says it is": {[]string{"Annals-Authorization", "Bearer admin"}, gateway.CodeUnauthenticated},
	} {
		if _, header, body := ask(t, "GET", url+"/v1/info", "", c.headers...); header.Get("Annals-Error") != string(c.code) {
			t.Errorf("%s: %s", what, body)
		}
	}
	if asked := f.questions(); len(asked) > 0 {
		t.Errorf("somebody was asked: %q", asked)
	}
}

// Answers of all kinds carry the security headers, and what is refused has a body.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	url := serve(t, httpapi.Config{Client: &fake{}})
	for place, headers := range map[string][]string{
		"GET /v1/info":                        nil,
		"GET /v1/nothing":                     nil,
		"GET /v1/watch/totals?key=a&prefix=b": nil,
		"POST /v1/commands/account/1/open":    append([]string{"Origin", "https://elsewhere.example"}, inJSON...),
	} {
		method, path, _ := strings.Cut(place, " ")
		status, header, body := ask(t, method, url+path, "{}", headers...)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q", place, name, got)
			}
		}
		var e gateway.Error
		if status != http.StatusOK && (json.Unmarshal([]byte(body), &e) != nil || e.Status != status) {
			t.Errorf("%s: %d with the body %s", place, status, body)
		}
	}
}
