package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"

	"github.com/annals-go/annals/store"
)

const (
	maxKeySet = 256 << 10 // bytes
	maxKeys   = 64
	// A longer key than this makes a signature so dear to check that strangers could
	// keep a node busy with it; a shorter one is weak.
	minRSABits, maxRSABits = 2048, 4096
)

// keySet are the public keys of an issuer, as they were read at a time.
type keySet struct {
	at   time.Time
	byID map[string]any
	only any // the key, if there is one alone: a token need not name it
}

// parseKeys reads a JSON Web Key Set. Keys that cannot verify signatures, or that
// are too weak or too dear, are passed over; a set without any key is an error.
func parseKeys(data []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, &store.InvalidError{What: "key set", Reason: err.Error()}
	}
	if len(set.Keys) > maxKeys {
		return nil, &store.InvalidError{What: "key set", Reason: fmt.Sprintf("%d keys, more than %d", len(set.Keys), maxKeys)}
	}
	keys := &keySet{at: time.Now(), byID: map[string]any{}}
	for _, raw := range set.Keys {
		if id, key, ok := parseKey(raw); ok {
			keys.byID[id], keys.only = key, key
		}
	}
	switch len(keys.byID) {
	case 0:
		return nil, &store.InvalidError{What: "key set", Reason: "no public key in it that verifies signatures"}
	case 1:
	default:
		keys.only = nil
	}
	return keys, nil
}

// parseKey reads one key; nothing is looked up that it refers to.
func parseKey(raw json.RawMessage) (id string, key any, ok bool) {
	var text jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &text); err != nil || text.USE != "" && text.USE != jwkset.UseSig {
		return "", nil, false
	}
	text.X5U, text.X5C, text.X5T, text.X5TS256 = "", nil, "", ""
	k, err := jwkset.NewJWKFromMarshal(text, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return "", nil, false
	}
	key = k.Key()
	return text.KID, key, isFit(key)
}

func isFit(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSABits && key.N.BitLen() <= maxRSABits && key.E > 2
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize <= 384
	case ed25519.PublicKey:
		return len(key) == ed25519.PublicKeySize
	}
	return false
}

// source is where a key set is: a file, a URL, or nowhere.
type source struct {
	file   string
	url    string
	client *http.Client
}

func (s source) isFile() bool { return s.file != "" }
func (s source) isURL() bool  { return s.url != "" }

func newSource(c Config) (source, error) {
	if !strings.Contains(c.JWKS, "://") {
		return source{file: c.JWKS}, nil
	}
	u, err := url.Parse(c.JWKS)
	if err != nil || !isSecure(u) {
		return source{}, &store.InvalidError{What: "JWKS", Value: c.JWKS, Reason: "want a file or an https URL: whoever can change the keys is everybody"}
	}
	return source{url: c.JWKS, client: c.Client}, nil
}

// isSecure reports whether nobody in between can change what comes from a URL.
func isSecure(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && local)
}

func secureRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > 3 || !isSecure(r.URL) {
		return errors.New("it leads elsewhere, too often or without TLS")
	}
	return nil
}

func (s source) read(ctx context.Context) ([]byte, error) {
	if s.isFile() {
		return readFile(s.file, maxKeySet)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxKeySet+1))
	if err == nil && len(data) > maxKeySet {
		err = fmt.Errorf("more than %d bytes", maxKeySet)
	}
	return data, err
}

func (a *Access) readKeys(ctx context.Context) error {
	data, err := a.source.read(ctx)
	if err != nil {
		return &store.InvalidError{What: "key set", Value: a.config.JWKS, Reason: err.Error()}
	}
	keys, err := parseKeys(data)
	if err == nil {
		a.replace(keys)
	}
	return err
}
