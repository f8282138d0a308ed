package embedded

import (
	"crypto/tls"
	"errors"
	"fmt"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// TLS names the files with which the server shows who it is. The zero value is
// none: the network is not encrypted.
type TLS struct {
	// CertFile and KeyFile are the server's certificate, with those that it rests
	// on, and its key, as PEM. Either both or none.
	CertFile, KeyFile string
	// ClientCAFile has the authorities, as PEM, of which each client must have a
	// certificate. Default "": clients need none.
	ClientCAFile string
}

// config is nil if the network is not to be encrypted.
func (t TLS) config() (*tls.Config, error) {
	switch {
	case t == TLS{}:
		return nil, nil
	case t.CertFile == "" || t.KeyFile == "":
		return nil, fmt.Errorf("%w: %w", ErrTLS, errors.New("want the server's certificate and its key"))
	}
	c, err := natsserver.GenTLSConfig(&natsserver.TLSConfigOpts{
		CertFile: t.CertFile, KeyFile: t.KeyFile, CaFile: t.ClientCAFile, Verify: t.ClientCAFile != "", MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return c, nil
}
