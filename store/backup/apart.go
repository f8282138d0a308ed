package backup

import (
	"context"
	"path"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// refuseData refuses to keep keys where backups of the namespace are, or its archive: whoever copies
// these, and keeps the copies, has the keys of all who are forgotten afterwards.
func refuseData(ctx context.Context, v segment.Vault, namespace string) error {
	complete, left, err := ids(ctx, v, namespace)
	if err != nil {
		return err
	}
	if len(complete)+len(left) == 0 {
		return refuseArchive(ctx, v, namespace)
	}
	return &store.InvalidError{What: "place for keys", Value: v.String(), Reason: "it has backups of " + namespace + ", of which older copies are kept: keys are kept apart from them"}
}

// archiveEntry is the file of each run of an archive.
const archiveEntry = "run.json"

func refuseArchive(ctx context.Context, v segment.Vault, namespace string) error {
	found, err := v.List(ctx, namespace+"/")
	if err != nil {
		return err
	}
	for _, f := range found {
		if path.Base(f.Name) == archiveEntry {
			return &store.InvalidError{What: "place for keys", Value: v.String(), Reason: "it has an archive of " + namespace + ", of which older copies may be kept: keys are kept apart from it"}
		}
	}
	return nil
}

// refuseKeys refuses to keep backups where keys of the namespace are.
func refuseKeys(ctx context.Context, v segment.Vault, namespace string) error {
	found, err := v.List(ctx, path.Join(namespace, keysFolder)+"/")
	if err != nil || len(found) == 0 {
		return err
	}
	return &store.InvalidError{What: "place for backups", Value: v.String(), Reason: "it has the keys of " + namespace + ", of which no older copies may be kept: " + found[0].Name}
}
