package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// A released migration never changes: databases that have applied it would differ from new ones.
// Two checks enforce this.
//
//   - Each migration is recorded with the checksum of its text when it is applied, and the checksums
//     are compared when a process starts, so that no program runs on a schema that it was not built
//     for ([ErrChanged]).
//   - released.txt has the checksums of all released migrations. A test fails if one of them changes,
//     and if a release adds migrations without listing them.

// versionsTable is goose's table of applied migrations.
const versionsTable = Name + ".goose_db_version"

// addChecksum extends goose's table.
const addChecksum = "ALTER TABLE " + versionsTable + " ADD COLUMN sha256 text"

// MigrationName returns the file name of a migration, or the name of one that has no file of its
// own.
func MigrationName(s *goose.Source) string {
	switch {
	case s.Path != "":
		return s.Path
	case s.Version == riverVersion:
		return "00001_river"
	default:
		return fmt.Sprintf("%05d_enqueue", s.Version)
	}
}

// checksums returns the SHA-256 of what each migration runs, by version, in hex.
func checksums(migrations fs.FS, sources []*goose.Source) (map[int64]string, error) {
	sums := map[int64]string{}
	for _, source := range sources {
		var text []byte
		var err error
		switch source.Version {
		case riverVersion: // the SQL is River's own
			text = fmt.Appendf(nil, "river %d\n", riverTarget)
		case enqueueVersion: // without the name of River's schema, which is a setting
			text, err = fs.ReadFile(migrations, enqueueTemplate)
		default:
			text, err = fs.ReadFile(migrations, source.Path)
		}
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		sum := sha256.Sum256(text)
		sums[source.Version] = hex.EncodeToString(sum[:])
	}
	return sums, nil
}

// A versionStore records the checksum of each migration in goose's table, in the transaction that
// applies the migration.
type versionStore struct {
	database.StoreExtender
	sums map[int64]string // filled once the provider has collected the migrations
}

func newVersionStore() (*versionStore, error) {
	store, err := database.NewStore(database.DialectPostgres, versionsTable)
	if err != nil {
		return nil, err
	}
	extender, ok := store.(database.StoreExtender)
	if !ok {
		return nil, errors.New("goose's Postgres store has no TableExists")
	}
	return &versionStore{StoreExtender: extender}, nil
}

func (s *versionStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	if err := s.StoreExtender.CreateVersionTable(ctx, db); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, addChecksum)
	return err
}

func (s *versionStore) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx, "INSERT INTO "+versionsTable+" (version_id, is_applied, sha256) VALUES ($1, true, nullif($2, ''))",
		req.Version, s.sums[req.Version]) // goose's own row, version 0, has no text
	return err
}

// changed returns the names of the migrations that were applied with another text than this program
// has.
func changed(all []Applied) []string {
	var names []string
	for _, one := range all {
		if one.Changed {
			names = append(names, MigrationName(one.Source))
		}
	}
	return names
}

// frozen compares migrations with released.txt. broken are the released migrations that
// changed or are missing, and migrations that were added before the newest released one. unreleased
// are those that no release has.
func frozen(released string, sources []*goose.Source, sums map[int64]string) (broken, unreleased []string, err error) {
	now := map[string]string{}
	for _, source := range sources {
		now[MigrationName(source)] = sums[source.Version]
	}
	listed := map[string]bool{}
	newest := ""
	for line := range strings.Lines(released) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		sum, name, ok := strings.Cut(line, "  ")
		if !ok {
			return nil, nil, fmt.Errorf("%q is not a checksum, two spaces and a name", line)
		}
		listed[name] = true
		newest = max(newest, name)
		if now[name] != sum {
			broken = append(broken, name)
		}
	}
	for _, source := range sources {
		switch name := MigrationName(source); {
		case listed[name]:
		case name < newest:
			broken = append(broken, name)
		default:
			unreleased = append(unreleased, name)
		}
	}
	slices.Sort(broken)
	return broken, unreleased, nil
}
