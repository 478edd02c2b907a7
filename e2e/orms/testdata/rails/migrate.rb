# Does what "rails db:migrate" does, without an application: applies the migrations in folder migrate
# to the database of the environment.
require "active_record"

ActiveRecord::Base.establish_connection(adapter: "postgresql", database: ENV.fetch("PGDATABASE"))
ActiveRecord::MigrationContext.new("migrate", ActiveRecord::SchemaMigration).migrate
puts ActiveRecord.version
