package node

import (
	"slices"
	"strings"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

const namedHelp = "`NAME=ROLE` of an asker that a subject as.NAME names; may come often. Whoever is not named, or gives no name, is a client then (default: what the NATS servers permit)"

// parseNamed reads what --named says: the roles of askers by name, nil if it says nothing.
func parseNamed(given []string) (map[string][]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	named := map[string][]string{}
	for _, text := range given {
		name, role, _ := strings.Cut(text, "=")
		if _, err := store.EncodeToken(name); err != nil {
			return nil, Usage("--named %q: %v", text, err)
		}
		if !slices.Contains(gateway.Roles(), role) {
			return nil, Usage("--named %q: want NAME=ROLE, with a role of %s", text, strings.Join(gateway.Roles(), ", "))
		}
		named[name] = append(named[name], role)
	}
	return named, nil
}
