package localpg

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for _, connString := range []string{
		"postgres://me:p%40ss@db.example:5433/old?sslmode=disable",
		"postgresql://me:p%40ss@db.example:5433?sslmode=disable",
		"postgres://me:p%40ss@db.example:5433/old?sslmode=disable&dbname=other",
		"postgres://me:p%40ss@/old?sslmode=disable&host=db.example&port=5433&database=other",
		"host=db.example port=5433 user=me password='p@ss' dbname=old sslmode=disable",
		"host=db.example port=5433 user=me password='p@ss' sslmode=disable",
	} {
		for _, database := range []string{"new", "a b", "100%", `it's`, `back\slash`, "q?a&b=c#d"} {
			config, err := pgx.ParseConfig(withDatabase(connString, database))
			require.NoError(t, err, connString)
			require.Equal(t, database, config.Database, connString)
			require.Equal(t, "db.example", config.Host, connString)
			require.Equal(t, uint16(5433), config.Port, connString)
			require.Equal(t, "me", config.User, connString)
			require.Equal(t, "p@ss", config.Password, connString)
		}
	}
}

func TestConnStringOfAFolderWithOddCharacters(t *testing.T) {
	t.Parallel()
	c := &cluster{folder: "/tmp/a b+c&d/e", port: socketPort}
	require.Equal(t, "postgres://postgres@/postgres?host=/tmp/a%20b%2Bc%26d/e&port=5432&sslmode=disable", c.connString())
	config, err := pgx.ParseConfig(c.connString())
	require.NoError(t, err)
	require.Equal(t, c.folder, config.Host)
}
