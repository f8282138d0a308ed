package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/gateway"
)

// writeCertificate makes a certificate for 127.0.0.1 and returns its files, and
// whom to trust.
func writeCertificate(t *testing.T) (cert, key string, trusted *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(t, cert, string(text))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	return cert, key, trusted
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeToken has the command line make a token.
func makeToken(t *testing.T, roles, principal string) (token, line string) {
	t.Helper()
	var out strings.Builder
	code := node.Run(t.Context(), bank, node.Streams{Out: &out, Err: io.Discard}, "token", "new", "--role", roles, "--principal", principal, "--json")
	var made struct{ Token, Line string }
	if err := json.Unmarshal([]byte(out.String()), &made); err != nil || code != 0 {
		t.Fatalf("token new: %d, %s, %v", code, out.String(), err)
	}
	return made.Token, made.Line
}

// devAddresses is where a dev process is reached.
type devAddresses struct{ NATS, HTTP string }

// startDev runs dev until the test ends.
func startDev(t *testing.T, app node.App, args ...string) (at devAddresses) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, talk := &firstLine{line: make(chan string, 1)}, &lockedText{}
	ended := make(chan int, 1)
	go func() {
		streams := node.Streams{In: strings.NewReader(""), Out: out, Err: talk}
		ended <- node.Run(ctx, app, streams, append([]string{"dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"}, args...)...)
	}()
	select {
	case line := <-out.line:
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			t.Fatal(err)
		}
	case code := <-ended:
		t.Fatalf("ended with exit code %d: %s", code, talk)
	}
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d: %s", code, talk)
		}
	})
	return at
}

// fetch asks over HTTP.
func fetch(t *testing.T, client *http.Client, method, url, token, body string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Set("Content-Type", "application/json"); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data), answer.Header
}

// With tokens and TLS: who has a token may do what its roles allow, under its
// name, over HTTP and over NATS; who has none sees that the process lives.
func TestDevAsksWhoYouAre(t *testing.T) {
	t.Parallel()
	cert, key, trusted := writeCertificate(t)
	ann, annLine := makeToken(t, "operator", "ann b.")
	vera, veraLine := makeToken(t, "viewer", "vera")
	file := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, file, annLine+"\n"+veraLine+"\n")
	app := bank
	app.Authorize = func(_ context.Context, ask gateway.Ask) error {
		if ask.ID == "secret" {
			return gateway.ErrForbidden
		}
		return nil
	}
	at := startDev(t, app, "--http-cert", cert, "--http-key", key, "--http-tokens", file, "--require-identity")
	if !strings.HasPrefix(at.HTTP, "https://") {
		t.Fatalf("HTTP at %s", at.HTTP)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	const command = "/v1/commands/account/ann/open"
	for _, c := range []struct {
		what, method, path, token string
		status                    int
		contains                  string
	}{
		{"nobody sends", "POST", command, "", 401, "UNAUTHENTICATED"},
		{"a viewer sends", "POST", command, vera, 403, "FORBIDDEN"},
		{"a stranger sends", "POST", command, "annals_x", 401, "UNAUTHENTICATED"},
		{"ann sends", "POST", command, ann, 200, `"version":1`},
		{"ann sends where the application says no", "POST", "/v1/commands/account/secret/open", ann, 403, "FORBIDDEN"},
		{"a viewer reads who sent it", "GET", "/v1/aggregates/account/ann/history", vera, 200, `"principal":"ann b."`},
		{"nobody reads", "GET", "/v1/aggregates/account/ann/history", "", 401, "UNAUTHENTICATED"},
		{"nobody reads metrics", "GET", "/metrics", "", 401, "UNAUTHENTICATED"},
		{"a viewer reads metrics", "GET", "/metrics", vera, 200, "annals_commands_total"},
		{"nobody looks whether it lives", "GET", "/livez", "", 200, "alive"},
		{"nobody looks whether it is ready", "GET", "/readyz?verbose", "", 200, "ready\n"},
		{"a viewer looks why", "GET", "/readyz?verbose", vera, 200, "[+] gateway"},
		{"nobody asks for nothing", "GET", "/v1/nothing", "", 404, "NOT_FOUND"},
	} {
		status, text, header := fetch(t, client, c.method, at.HTTP+c.path, c.token, `{"owner":"Ann"}`)
		if status != c.status || !strings.Contains(text, c.contains) || header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %d %s %v", c.what, status, text, header)
		}
		if c.token == "" && strings.Contains(text, "gateway") {
			t.Errorf("%s is told %s", c.what, text)
		}
	}
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MaxVersion: tls.VersionTLS12}}
	if answer, err := (&http.Client{Transport: old}).Get(at.HTTP + "/livez"); err == nil {
		_ = answer.Body.Close()
		t.Error("TLS 1.2 was good enough")
	}
	nc, err := nats.Connect(at.NATS)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for token, want := range map[string]string{"": "UNAUTHENTICATED", ann: "", vera: "FORBIDDEN"} {
		m := nats.NewMsg("bank.cmd.account.ann.deposit")
		if m.Data = []byte(`{"cents":1}`); token != "" {
			m.Header.Set(gateway.HeaderAuthorization, "Bearer "+token)
		}
		answer, err := nc.RequestMsg(m, patience)
		if err != nil || answer.Header.Get(gateway.HeaderError) != want {
			t.Errorf("over NATS: %v, want %q", answer, want)
		}
	}
	var talk strings.Builder
	code := node.Run(t.Context(), bank, node.Streams{Out: io.Discard, Err: &talk}, "-s", at.NATS, "aggregate", "types")
	if code != 7 || !strings.Contains(talk.String(), "[UNAUTHENTICATED]") {
		t.Errorf("the command line without a name: %d %s", code, talk.String())
	}
}

// What other machines reach is encrypted and asks who they are, or does not start.
func TestHTTPForOtherMachines(t *testing.T) {
	t.Parallel()
	cert, key, _ := writeCertificate(t)
	_, line := makeToken(t, "admin", "ann")
	tokens, broken := filepath.Join(t.TempDir(), "tokens"), filepath.Join(t.TempDir(), "broken")
	writeFile(t, tokens, line)
	writeFile(t, broken, "x")
	secure := []string{"--http-cert", cert, "--http-key", key}
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":                       {[]string{"--http", "0.0.0.0:0"}, "neither ask who they are nor be encrypted"},
		"a name":                        {[]string{"--http", "bank.example:4280"}, "neither ask who they are nor be encrypted"},
		"all interfaces, v6":            {[]string{"--http", "[::]:0"}, "neither ask who they are nor be encrypted"},
		"no tokens":                     {append([]string{"--http", "0.0.0.0:0"}, secure...), "ask nobody who they are"},
		"no certificate":                {[]string{"--http", "0.0.0.0:0", "--http-tokens", tokens}, "not be encrypted"},
		"probes for others":             {[]string{"--http", "127.0.0.1:0", "--probes", "0.0.0.0:0"}, "--probes 0.0.0.0:0: others than this machine reach it"},
		"probes nowhere":                {[]string{"--probes", "nowhere"}, "--probes \"nowhere\""},
		"no connections":                {[]string{"--http-per-client=-1"}, "want 1 to 1024"},
		"too many connections":          {[]string{"--http-per-client", "1025"}, "want 1 to 1024"},
		"no key":                        {[]string{"--http-cert", cert}, "both a certificate and its key"},
		"a certificate that is none":    {[]string{"--http-cert", broken, "--http-key", key}, "--http-cert"},
		"tokens that are none":          {[]string{"--http-tokens", broken}, "token file"},
		"an issuer without audience":    {[]string{"--http-jwks", "https://issuer.example/keys"}, "Audience"},
		"an issuer that anybody can be": {[]string{"--http-jwks", "http://issuer.example/keys", "--http-audience", "bank"}, "https"},
	} {
		for _, command := range []string{"dev", "node"} {
			var talk strings.Builder
			code := node.Run(t.Context(), bank, node.Streams{Out: io.Discard, Err: &talk}, append([]string{command, "-s", "nats://127.0.0.1:1"}, c.args...)...)
			if code != 2 || !strings.Contains(talk.String(), c.says) {
				t.Errorf("%s with %s: %d %s", command, what, code, talk.String())
			}
		}
	}
}

// Where nobody is asked, a page whose own name leads here is refused.
func TestAForeignNameOfThisMachineIsRefused(t *testing.T) {
	t.Parallel()
	at := startDev(t, bank)
	for host, want := range map[string]int{"": 200, "localhost:80": 200, "127.0.0.1": 200, "[::1]:80": 200, "evil.example": 403, "localhost.evil.example:80": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.HTTP+"/v1/info", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%q: %d, want %d", host, answer.StatusCode, want)
		}
	}
}

// A token that would be refused is not made.
func TestTokensThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--role", "admin"}, {"--principal", "ann"}, {"--role", "root", "--principal", "ann"}, {"--role", "admin", "--principal", "a\nb"}} {
		var out strings.Builder
		if code := node.Run(t.Context(), bank, node.Streams{Out: &out, Err: io.Discard}, append([]string{"token", "new"}, args...)...); code != 2 || out.Len() > 0 {
			t.Errorf("%q: %d %s", args, code, out.String())
		}
	}
}
