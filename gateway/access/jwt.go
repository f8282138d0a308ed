package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/annals-go/annals/gateway"
)

// methods are the ways to sign that are accepted: with public keys only, so that
// no key that everybody can read ever serves as a secret.
var methods = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}

const (
	// leeway is how far clocks may differ.
	leeway = 30 * time.Second
	// maxJWT bounds a token in bytes.
	maxJWT = 8 << 10
	// maxRoles bounds the roles of a token.
	maxRoles = 64
)

var errUnknownKey = errors.New("it is signed with a key that is not known here")

func isUnknownKey(err error) bool { return errors.Is(err, errUnknownKey) }

// parser reads JSON Web Tokens.
type parser struct {
	parser *jwt.Parser
	roles  []string // the path of the claim
}

func newParser(c Config) parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(methods), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway),
		jwt.WithStrictDecoding(), jwt.WithAudience(c.Audience),
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	return parser{parser: jwt.NewParser(options...), roles: strings.Split(c.RolesClaim, ".")}
}

// read returns whom a token names. The error matches [gateway.ErrUnauthenticated].
func (p parser) read(token string, keys *keySet) (who gateway.Identity, err error) {
	if len(token) > maxJWT {
		return who, fmt.Errorf("%w: the token has more than %d bytes", gateway.ErrUnauthenticated, maxJWT)
	}
	claims := jwt.MapClaims{}
	if _, err := p.parser.ParseWithClaims(token, claims, keys.find); err != nil {
		return who, fmt.Errorf("%w: the token: %w", gateway.ErrUnauthenticated, err)
	}
	who.Principal, err = claims.GetSubject()
	if err == nil {
		err = checkPrincipal(who.Principal)
	}
	if err != nil {
		return gateway.Identity{}, fmt.Errorf("%w: the token: sub: %w", gateway.ErrUnauthenticated, err)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return gateway.Identity{}, fmt.Errorf("%w: the token: exp cannot be read", gateway.ErrUnauthenticated)
	}
	who.Until = expires.Add(leeway)
	who.Roles = rolesIn(claims, p.roles)
	return who, nil
}

// find returns the key that a token names. One that demands what is not known here
// is refused.
func (k *keySet) find(t *jwt.Token) (any, error) {
	if _, demands := t.Header["crit"]; demands {
		return nil, errors.New("it has a critical header")
	}
	id, named := t.Header["kid"].(string)
	if !named && k.only != nil {
		return k.only, nil
	}
	key, known := k.byID[id]
	if !named || !known {
		return nil, errUnknownKey
	}
	return key, nil
}

// rolesIn returns the roles in a claim; nil if there are none, or none that make
// sense.
func rolesIn(claims map[string]any, path []string) []string {
	for _, name := range path[:len(path)-1] {
		claims, _ = claims[name].(map[string]any)
	}
	var roles []string
	switch value := claims[path[len(path)-1]].(type) {
	case string:
		roles = strings.Fields(value)
	case []any:
		for _, v := range value {
			if role, ok := v.(string); ok {
				roles = append(roles, role)
			}
		}
	}
	return roles[:min(len(roles), maxRoles)]
}
