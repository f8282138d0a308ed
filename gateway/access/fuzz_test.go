package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// FuzzTokenFile: what is accepted names principals and roles that there are, and
// means the same when it is written again.
func FuzzTokenFile(f *testing.F) {
	_, line, err := NewToken("ann", gateway.RoleAdmin)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", line, "# x\n\n" + line + "\r\n" + line, line[:70], "sha256: admin x", strings.Replace(line, "admin", "admin,,", 1), line + " b\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseTokens(data)
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("untyped error: %v", err)
		}
		for _, e := range all {
			if checkPrincipal(e.who.Principal) != nil || checkRoles(e.who.Roles) != nil {
				t.Fatalf("accepted %+v", e.who)
			}
		}
	})
}

// FuzzKeySet: nothing is taken for a key that cannot serve as one.
func FuzzKeySet(f *testing.F) {
	i := newIssuer(f)
	for _, text := range []string{"", `{"keys":[]}`, i.set(f), set(f, jwk("r", i.rsa.Public())), strings.Replace(i.set(f), `"e"`, `"n"`, 1), `{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		for id, key := range keys.byID {
			if !isFit(key) {
				t.Fatalf("accepted %q: %T", id, key)
			}
		}
	})
}

// FuzzSignedToken: no token is good but those that the issuer signed, however they
// are changed.
func FuzzSignedToken(f *testing.F) {
	i := newIssuer(f)
	keys, err := parseKeys([]byte(i.set(f)))
	if err != nil {
		f.Fatal(err)
	}
	p := newParser(Config{Audience: "bank", RolesClaim: "roles"})
	forever := with("exp", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	good := sign(f, jwt.SigningMethodEdDSA, i.ed, "d", claims(forever))
	for _, token := range []string{
		good, good[:40], good + ".", strings.ToLower(good), "a.b.c", "", "..", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
		"eyJhbGciOiJIUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiJhIiwiYXVkIjoiYmFuayJ9.AAAA",
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		who, err := p.read(token, keys)
		if err == nil && token != good {
			t.Fatalf("accepted %q as %+v", token, who)
		}
		if err != nil && (!errors.Is(err, gateway.ErrUnauthenticated) || who.Principal != "") {
			t.Fatalf("%+v, %v", who, err)
		}
	})
}
