package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
)

// identity says to the server who comes: the options for what flags and
// environment name. What a NATS context has besides is used by itself.
func (s *Session) identity() (opts []nats.Option, err error) {
	f := &s.flags
	if f.creds != "" {
		if err := s.checkSecret("creds", f.creds); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserCredentials(f.creds))
	}
	if f.nkey != "" {
		if err := s.checkSecret("nkey", f.nkey); err != nil {
			return nil, err
		}
		nkey, err := nats.NkeyOptionFromSeed(f.nkey)
		if err != nil {
			return nil, &Failure{Code: console.CodeUsage, Exit: console.ExitUsage, What: "read the nkey seed file " + f.nkey, Why: err.Error(), Err: err}
		}
		opts = append(opts, nkey)
	}
	if user := s.Env("NATS_USER"); user != "" {
		opts = append(opts, nats.UserInfo(user, s.Env("NATS_PASSWORD")))
	}
	if token := s.Env("NATS_TOKEN"); token != "" {
		opts = append(opts, nats.Token(token))
	}
	return opts, nil
}

// checkSecret refuses a file that cannot be read before the server is asked, and
// tells of one that others can read.
func (s *Session) checkSecret(flag, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		f := Usage("--%s %s cannot be read", flag, path)
		f.Why, f.Err = err.Error(), err
		return f
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		s.Logger().Warn("others on this machine can read the secret", "file", path, "fix", "chmod 600 "+path)
	}
	return nil
}

// encryption has the connection trust whom --tlsca names, and shows the
// certificate of --tlscert.
func (s *Session) encryption() (opts []nats.Option, err error) {
	f := &s.flags
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return nil, Usage("--tlscert and --tlskey belong together")
	}
	if f.tlsCert != "" {
		if _, err := tls.LoadX509KeyPair(f.tlsCert, f.tlsKey); err != nil {
			return nil, unusableTLS(fmt.Sprintf("--tlscert %s --tlskey %s", f.tlsCert, f.tlsKey), err)
		}
		opts = append(opts, nats.ClientCert(f.tlsCert, f.tlsKey))
	}
	if f.tlsCA != "" {
		pem, err := os.ReadFile(f.tlsCA)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			err = errors.New("it has no certificate in PEM")
		}
		if err != nil {
			return nil, unusableTLS("--tlsca "+f.tlsCA, err)
		}
		opts = append(opts, nats.RootCAs(f.tlsCA))
	}
	return opts, nil
}

func unusableTLS(flags string, err error) *Failure {
	return &Failure{
		Code: codeTLS, Exit: console.ExitUsage, What: flags + " cannot be used", Why: err.Error(),
		Fix: "want PEM files, and the key that belongs to the certificate", Err: err,
	}
}

// checkInboxPrefix refuses what would not be a subject of its own.
func checkInboxPrefix(prefix string) error {
	for token := range strings.SplitSeq(prefix, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") || strings.HasPrefix(token, "$") {
			return Usage("--inbox-prefix %q: want a subject without wildcards, such as _INBOX_ann", prefix)
		}
	}
	return nil
}

// isStranger reports whether the server did not admit who came.
func isStranger(err error) bool {
	for _, refused := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refused) {
			return true
		}
	}
	return false
}

// isUncertified reports whether server and client did not trust each other's
// certificates. What the server says of the client's is an alert, of which only
// the text is known; and it may have hung up before the alert was read.
func isUncertified(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) {
		return true
	}
	return strings.Contains(err.Error(), "remote error: tls:") || errors.Is(err, nats.ErrTLS)
}
