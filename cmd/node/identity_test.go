package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// selfSigned writes a certificate for the loopback address and its key, which is
// its own authority.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: t.Name()}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pair.Public(), pair)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Who has the right certificate comes in; who has not is told which flag to add.
func TestMutualTLSByFlags(t *testing.T) {
	t.Parallel()
	serverCert, serverKey := selfSigned(t)
	clientCert, clientKey := selfSigned(t)
	server, err := embedded.Start(embedded.Config{
		TLS: embedded.TLS{CertFile: serverCert, KeyFile: serverKey, ClientCAFile: clientCert}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	for name, test := range map[string]struct {
		flags globalFlags
		code  gateway.Code
	}{
		"both":             {globalFlags{tlsCA: serverCert, tlsCert: clientCert, tlsKey: clientKey}, ""},
		"no certificate":   {globalFlags{tlsCA: serverCert}, codeUncertified},
		"another's":        {globalFlags{tlsCA: serverCert, tlsCert: serverCert, tlsKey: serverKey}, codeUncertified},
		"no authority":     {globalFlags{tlsCert: clientCert, tlsKey: clientKey}, codeUncertified},
		"half a pair":      {globalFlags{tlsCA: serverCert, tlsCert: clientCert}, console.CodeUsage},
		"another's key":    {globalFlags{tlsCA: serverCert, tlsCert: clientCert, tlsKey: serverKey}, codeTLS},
		"no authorities":   {globalFlags{tlsCA: serverKey}, codeTLS},
		"no such file":     {globalFlags{tlsCA: serverCert + ".none"}, codeTLS},
		"a wrong inbox":    {globalFlags{tlsCA: serverCert, inboxPrefix: "a.>"}, console.CodeUsage},
		"a seed that none": {globalFlags{tlsCA: serverCert, nkey: serverKey}, console.CodeUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := testSession(nil)
			s.flags = test.flags
			s.flags.server, s.flags.timeout = server.URL(), time.Minute
			defer s.close()
			_, err := s.Connect(t.Context())
			f, _ := errors.AsType[*Failure](err)
			switch {
			case test.code == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.code != "" && (f == nil || f.Code != test.code):
				t.Errorf("error %v, want %s", err, test.code)
			}
		})
	}
}

// A refusal explains silence, and nothing else; an unknown outcome stays one.
func TestRefusalExplainsSilence(t *testing.T) {
	t.Parallel()
	violation := errors.Join(nats.ErrPermissionViolation, errors.New("for Publish to x"))
	for _, test := range []struct {
		err  error
		code gateway.Code
	}{
		{nats.ErrTimeout, codeNoPermit},
		{store.ErrUnavailable, codeNoPermit},
		{errors.Join(store.ErrUnknown, nats.ErrTimeout), gateway.CodeUnknownOutcome},
		{store.ErrConflict, ""},
	} {
		s, _, _ := testSession(nil)
		if f := s.notPermitted(test.err); f != nil {
			t.Errorf("%v without a refusal: %v", test.err, f)
		}
		s.noteRefusal(nil, nil, violation)
		f := s.notPermitted(test.err)
		if f == nil && test.code != "" || f != nil && f.Code != test.code {
			t.Errorf("%v: %v, want %s", test.err, f, test.code)
		}
	}
}
