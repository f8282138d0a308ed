package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// authority issues certificates into files of a test's directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key, a.cert = newCertificate(t, a, "ca", template, nil)
	return a
}

// newCertificate writes NAME.crt and NAME.key, signed by the authority or, without
// a parent, by itself.
func newCertificate(t *testing.T, a *authority, name string, template, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{a.file(name + ".crt"): {Type: "CERTIFICATE", Bytes: der}, a.file(name + ".key"): {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue makes a certificate for one that is reached at the loopback address.
func (a *authority) issue(t *testing.T, name string) {
	t.Helper()
	newCertificate(t, a, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert)
}

func TestNetworkIsEncryptedAndTheProcessComesInWithout(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t, "server")
	s := start(t, Config{TLS: TLS{CertFile: a.file("server.crt"), KeyFile: a.file("server.key")}})
	if !strings.HasPrefix(s.URL(), "tls://127.0.0.1:") {
		t.Errorf("URL %s", s.URL())
	}
	nc, err := nats.Connect(s.URL(), nats.RootCAs(a.file("ca.crt")))
	if err != nil {
		t.Fatal(err)
	}
	if state, err := nc.TLSConnectionState(); err != nil || state.Version != 0x0304 {
		t.Errorf("TLS version %x, %v; want 1.3", state.Version, err)
	}
	nc.Close()
	if nc, err := nats.Connect(s.URL()); err == nil {
		nc.Close()
		t.Error("a client that does not know the authority came in")
	}
	if nc, err = s.Connect(); err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestMutualTLSWantsACertificateOfTheRightAuthority(t *testing.T) {
	t.Parallel()
	a, foreign := newAuthority(t), newAuthority(t)
	a.issue(t, "server")
	a.issue(t, "client")
	foreign.issue(t, "client")
	s := start(t, Config{TLS: TLS{CertFile: a.file("server.crt"), KeyFile: a.file("server.key"), ClientCAFile: a.file("ca.crt")}})
	root := nats.RootCAs(a.file("ca.crt"))
	nc, err := nats.Connect(s.URL(), root, nats.ClientCert(a.file("client.crt"), a.file("client.key")))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	for name, opts := range map[string][]nats.Option{
		"none":      {root},
		"a foreign": {root, nats.ClientCert(foreign.file("client.crt"), foreign.file("client.key"))},
	} {
		if nc, err := nats.Connect(s.URL(), opts...); err == nil {
			nc.Close()
			t.Errorf("%s certificate was taken", name)
		}
	}
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t, "one")
	a.issue(t, "two")
	for name, files := range map[string]TLS{
		"no key":         {CertFile: a.file("one.crt")},
		"another's key":  {CertFile: a.file("one.crt"), KeyFile: a.file("two.key")},
		"no file":        {CertFile: a.file("none"), KeyFile: a.file("one.key")},
		"no authorities": {CertFile: a.file("one.crt"), KeyFile: a.file("one.key"), ClientCAFile: a.file("one.key")},
	} {
		if s, err := Start(Config{TLS: files, Logger: quiet}); err == nil || !errors.Is(err, ErrTLS) {
			t.Errorf("%s: %v, %v, want ErrTLS", name, s, err)
		}
	}
}
