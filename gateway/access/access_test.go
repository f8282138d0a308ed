package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// soon is how long a test waits for what must happen.
const soon = time.Minute

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(soon)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	next := name + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// start runs an Access until the test ends.
func start(t *testing.T, c Config) *Access {
	t.Helper()
	c.Logger = quiet()
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return a
}

func unauthenticated(err error) bool { return errors.Is(err, gateway.ErrUnauthenticated) }

func TestRandomTokens(t *testing.T) {
	t.Parallel()
	ann, annLine, err := NewToken("ann b.", gateway.RoleViewer, gateway.RolePrivacyOfficer)
	if err != nil {
		t.Fatal(err)
	}
	bob, bobLine, err := NewToken("bob", gateway.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(annLine, ann[len(prefix):]) || ann == bob || len(ann) < 40 {
		t.Errorf("token %s, line %s", ann, annLine)
	}
	file := write(t, "tokens", "# people\n\n"+annLine+"\n")
	a := start(t, Config{TokenFile: file, Reload: 2 * time.Millisecond})
	who, err := a.Verify(ann)
	if diff := cmp.Diff(gateway.Identity{Principal: "ann b.", Roles: []string{"viewer", "privacy-officer"}}, who, cmp.AllowUnexported(gateway.Identity{})); err != nil || diff != "" {
		t.Errorf("ann: %v %s", err, diff)
	}
	for _, bad := range []string{"", "annals_", bob, ann[:len(ann)-1], ann + "A", strings.ToUpper(ann), annLine, "eyJhbGciOiJub25lIn0.e30."} {
		if _, err := a.Verify(bad); !unauthenticated(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	write(t, file, bobLine) // from now on bob, and not ann any more
	eventually(t, "bob is known", func() bool { _, err := a.Verify(bob); return err == nil })
	if _, err := a.Verify(ann); !unauthenticated(err) {
		t.Errorf("ann, whose line is gone: %v", err)
	}
	write(t, file, "sha256:") // a mistake locks nobody out
	eventually(t, "it was read again", func() bool { return a.readTokens() != nil })
	if _, err := a.Verify(bob); err != nil {
		t.Errorf("bob after a mistake: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is known without the file", func() bool { _, err := a.Verify(bob); return unauthenticated(err) })
}

func TestTokensThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		principal string
		roles     []string
	}{
		{"", []string{"admin"}},
		{"a\nb", []string{"admin"}},
		{" a", []string{"admin"}},
		{"#a", []string{"admin"}},
		{strings.Repeat("x", 129), []string{"admin"}},
		{"\xff", []string{"admin"}},
		{"a", nil},
		{"a", []string{"root"}},
		{"a", []string{"admin", ""}},
	} {
		if token, line, err := NewToken(c.principal, c.roles...); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q %q: %s, %s, %v", c.principal, c.roles, token, line, err)
		}
	}
}

// An error about a token file names the line and does not show it: what stands
// there may be a token.
func TestBadTokenFiles(t *testing.T) {
	t.Parallel()
	secret, line, err := NewToken("ann", gateway.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		secret + " admin ann", "sha256:12 admin ann", strings.Replace(line, "sha256:", "md5:", 1), strings.Replace(line, "admin", "root", 1),
		strings.TrimSuffix(line, " ann"), line[:len(hashName)+64], line + "\x00", strings.Replace(line, " admin", "", 1),
	} {
		_, err := New(Config{TokenFile: write(t, "tokens", line+"\n"+bad)})
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), `"2"`) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := New(Config{TokenFile: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("no file: %v", err)
	}
	if _, err := parseTokens([]byte(strings.Repeat(line+"\n", maxTokens+1))); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	if _, err := New(Config{TokenFile: write(t, "tokens", strings.Repeat("\n", maxTokenFile+1))}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{},
		{JWKS: "keys.json"},
		{JWKS: "http://issuer.example/keys", Audience: "bank"},
		{JWKS: "ftp://127.0.0.1/keys", Audience: "bank"},
		{JWKS: "https://", Audience: "bank"},
		{JWKS: filepath.Join(t.TempDir(), "none"), Audience: "bank"},
		{TokenFile: write(t, "tokens", ""), MaxAge: -1},
	} {
		if _, err := New(c); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// issuer signs tokens.
type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, i.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return i
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// jwk is a public key as it stands in a key set.
func jwk(id string, key crypto.PublicKey) map[string]any {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		coordinate := base64.RawURLEncoding.EncodeToString
		return map[string]any{"kty": "EC", "kid": id, "crv": key.Curve.Params().Name, "x": coordinate(point[1 : 1+half]), "y": coordinate(point[1+half:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(key)}
	}
	panic("no such key")
}

func set(t testing.TB, keys ...map[string]any) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (i *issuer) set(t testing.TB) string {
	t.Helper()
	return set(t, jwk("r", i.rsa.Public()), jwk("e", i.ec.Public()), jwk("d", i.ed.Public()),
		map[string]any{"kty": "oct", "kid": "s", "k": base64.RawURLEncoding.EncodeToString([]byte("a shared secret of 32 bytes ....."))})
}

func sign(t testing.TB, method jwt.SigningMethod, key any, id string, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	if id != "" {
		token.Header["kid"] = id
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are good ones, changed.
func claims(change ...func(map[string]any)) map[string]any {
	c := map[string]any{"sub": "ann", "aud": "bank", "iss": "us", "exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"viewer"}}
	for _, f := range change {
		f(c)
	}
	return c
}

func with(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func without(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }

func TestSignedTokens(t *testing.T) {
	t.Parallel()
	i, stranger := newIssuer(t), newIssuer(t)
	a := start(t, Config{JWKS: write(t, "keys.json", i.set(t)), Audience: "bank", Issuer: "us", RolesClaim: "realm.roles"})
	inRealm := func(roles any) func(map[string]any) { return with("realm", map[string]any{"roles": roles}) }
	for what, c := range map[string]struct {
		token string
		roles []string
	}{
		"RS256":             {sign(t, jwt.SigningMethodRS256, i.rsa, "r", claims(inRealm([]any{"viewer", 7, "x"}))), []string{"viewer", "x"}},
		"PS384":             {sign(t, jwt.SigningMethodPS384, i.rsa, "r", claims(inRealm("viewer admin"))), []string{"viewer", "admin"}},
		"ES256":             {sign(t, jwt.SigningMethodES256, i.ec, "e", claims()), nil},
		"EdDSA":             {sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(inRealm(nil))), nil},
		"several audiences": {sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("aud", []string{"x", "bank"}))), nil},
	} {
		for range 2 { // the second time from memory
			who, err := a.Verify(c.token)
			if err != nil || who.Principal != "ann" || cmp.Diff(c.roles, who.Roles) != "" || time.Until(who.Until) < 50*time.Minute {
				t.Errorf("%s: %+v %v", what, who, err)
			}
		}
	}
	good := sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims())
	parts := strings.Split(good, ".")
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	der, err := i.rsa.N.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"nothing":                      "",
		"words":                        "hello",
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good + ".x",
		"other claims, old signature":  parts[0] + "." + header(`{"sub":"root","aud":"bank","iss":"us","exp":9999999999}`) + "." + parts[2],
		"no algorithm":                 header(`{"alg":"none"}`) + "." + parts[1] + ".",
		"no algorithm, in capitals":    header(`{"alg":"NONE","kid":"d"}`) + "." + parts[1] + "." + parts[2],
		"a shared secret":              sign(t, jwt.SigningMethodHS256, []byte("a shared secret of 32 bytes ....."), "s", claims()),
		"a public key for a secret":    sign(t, jwt.SigningMethodHS256, der, "r", claims()),
		"the key of another algorithm": sign(t, jwt.SigningMethodES256, i.ec, "r", claims()),
		"a stranger's key":             sign(t, jwt.SigningMethodEdDSA, stranger.ed, "d", claims()),
		"an unknown key":               sign(t, jwt.SigningMethodEdDSA, i.ed, "z", claims()),
		"no key named":                 sign(t, jwt.SigningMethodEdDSA, i.ed, "", claims()),
		"another audience":             sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("aud", "shop"))),
		"no audience":                  sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(without("aud"))),
		"another issuer":               sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("iss", "them"))),
		"expired":                      sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("exp", time.Now().Add(-time.Minute).Unix()))),
		"for ever":                     sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(without("exp"))),
		"a time of words":              sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("exp", "tomorrow"))),
		"not yet":                      sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("nbf", time.Now().Add(time.Hour).Unix()))),
		"from the future":              sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("iat", time.Now().Add(time.Hour).Unix()))),
		"of nobody":                    sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(without("sub"))),
		"of a number":                  sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("sub", 7))),
		"of a name with a line break":  sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("sub", "a\nb"))),
		"of a long name":               sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("sub", strings.Repeat("x", 200)))),
		"too large":                    sign(t, jwt.SigningMethodEdDSA, i.ed, "d", claims(with("x", strings.Repeat("x", 9<<10)))),
		"with spaces":                  parts[0] + " ." + parts[1] + "." + parts[2],
	} {
		if who, err := a.Verify(token); !unauthenticated(err) || who.Principal != "" {
			t.Errorf("%s: %+v %v", what, who, err)
		}
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims(claims()))
	critical.Header["kid"], critical.Header["crit"] = "d", []string{"b64"}
	text, err := critical.SignedString(i.ed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(text); !unauthenticated(err) {
		t.Errorf("a critical header: %v", err)
	}
}

func TestKeySets(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	dear, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypting := jwk("x", i.rsa.Public())
	encrypting["use"] = "enc"
	for what, text := range map[string]string{
		"nothing": "", "words": "hello", "an empty set": `{"keys":[]}`, "another thing": `{"keys":7}`,
		"a weak key": set(t, jwk("w", weak.Public())), "a dear key": set(t, jwk("w", dear.Public())), "a key to encrypt with": set(t, encrypting),
		"too many": `{"keys":[` + strings.TrimSuffix(strings.Repeat("{},", maxKeys+1), ",") + `]}`,
		"a secret": set(t, map[string]any{"kty": "oct", "kid": "s", "k": "AAAA"}),
	} {
		if keys, err := parseKeys([]byte(text)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %+v %v", what, keys, err)
		}
	}
	referring := jwk("r", i.rsa.Public())
	referring["x5u"] = "https://127.0.0.1:1/never-looked-up"
	keys, err := parseKeys([]byte(set(t, referring, jwk("w", weak.Public()))))
	if err != nil || len(keys.byID) != 1 || keys.only == nil {
		t.Errorf("one good key: %+v %v", keys, err)
	}
}

// Keys are fetched when the issuer has new ones, and not each time that somebody
// makes a key up; they are not believed for ever.
func TestKeysAreFetched(t *testing.T) {
	t.Parallel()
	before, after := newIssuer(t), newIssuer(t)
	var text atomic.Pointer[string]
	var fetched atomic.Int64
	serve := func(keys string) { text.Store(&keys) }
	serve(set(t, jwk("one", before.ed.Public())))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		if *text.Load() == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write([]byte(*text.Load()))
	}))
	t.Cleanup(server.Close)
	a, err := New(Config{JWKS: server.URL, Audience: "bank", Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	old := sign(t, jwt.SigningMethodEdDSA, before.ed, "", claims())
	if _, err := a.Verify(old); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("before anything was fetched: %v", err)
	}
	// Reload wakes it, which hears of an unknown key when MinRefresh is over.
	a = start(t, Config{JWKS: server.URL, Audience: "bank", MinRefresh: 20 * time.Millisecond, Reload: 20 * time.Millisecond})
	eventually(t, "the key is fetched", func() bool { _, err := a.Verify(old); return err == nil })
	serve(set(t, jwk("two", after.ed.Public())))
	next := sign(t, jwt.SigningMethodEdDSA, after.ed, "two", claims())
	eventually(t, "the new key is fetched", func() bool { _, err := a.Verify(next); return err == nil })
	if _, err := a.Verify(old); !unauthenticated(err) {
		t.Errorf("a token that was verified with a key that is gone: %v", err)
	}
	for _, bad := range []string{"hello", "", strings.Repeat(" ", maxKeySet+1)} { // what cannot be read changes nothing
		serve(bad)
		now := fetched.Load()
		eventually(t, "it is fetched again", func() bool {
			_, _ = a.Verify(sign(t, jwt.SigningMethodEdDSA, after.ed, "made-up", claims()))
			return fetched.Load() > now+1
		})
		if _, err := a.Verify(next); err != nil {
			t.Errorf("after a bad answer: %v", err)
		}
	}
	began, many := time.Now(), fetched.Load()
	for n := range 2000 {
		_, _ = a.Verify(sign(t, jwt.SigningMethodEdDSA, after.ed, fmt.Sprint("made-up", n), claims()))
	}
	if most := many + int64(time.Since(began)/(20*time.Millisecond)) + 2; fetched.Load() > most {
		t.Errorf("fetched %d times, want at most %d", fetched.Load(), most)
	}
	stale := *a.keys.Load()
	stale.at = stale.at.Add(-2 * time.Hour)
	a.replace(&stale)
	if _, err := a.Verify(next); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("keys of two hours ago: %v", err)
	}
}

func TestRedirectsWithoutTLSAreNotFollowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://issuer.example/keys", http.StatusFound))
	t.Cleanup(server.Close)
	a, err := New(Config{JWKS: server.URL, Audience: "bank", Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.readKeys(t.Context()); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("%v", err)
	}
}

// What is remembered of good tokens is bounded.
func TestVerifiedTokensAreBounded(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	a, err := New(Config{JWKS: write(t, "keys.json", i.set(t)), Audience: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxVerified + 10 {
		a.remember(a.keys.Load(), digestOf(fmt.Sprint(n)), gateway.Identity{Until: time.Now().Add(time.Hour)})
	}
	if len(a.verified) != 10 {
		t.Errorf("%d are remembered", len(a.verified))
	}
	a.remember(a.keys.Load(), digestOf("over"), gateway.Identity{Until: time.Now().Add(-time.Hour)})
	if _, ok := a.remembered(digestOf("over")); ok || len(a.verified) != 10 {
		t.Error("a token that is over is remembered")
	}
}
