class CreateOutreach < ActiveRecord::Migration[6.1]
  def change
    enable_extension "pgcrypto"

    create_table :organizations, id: :uuid do |t|
      t.string :name, null: false
      t.timestamps
    end

    create_table :linkedin_accounts, id: :uuid do |t|
      t.references :organization, type: :uuid, null: false, foreign_key: true
      t.string :unipile_id, index: { unique: true }
      t.string :member_urn
      t.string :full_name, null: false
      t.string :time_zone, null: false, default: "UTC"
      t.integer :status, null: false, default: 0
      t.datetime :discarded_at
      t.timestamps
    end

    create_table :campaigns, id: :uuid do |t|
      t.references :organization, type: :uuid, null: false, foreign_key: true
      t.string :title, null: false
      t.string :status, null: false, default: "draft"
      t.timestamps
    end

    create_table :leads, id: :uuid do |t|
      t.references :organization, type: :uuid, null: false, foreign_key: true
      t.string :linkedin_url
      t.timestamps
    end

    create_table :campaign_leads, id: :uuid do |t|
      t.references :campaign, type: :uuid, null: false, foreign_key: true
      t.references :lead, type: :uuid, null: false, foreign_key: true
      t.references :linkedin_account, type: :uuid, foreign_key: true
      t.integer :status, null: false, default: 0
      t.string :pause_reason
      t.integer :current_step, null: false, default: 0
      t.datetime :next_run_at
      t.datetime :paused_at
      t.timestamps
    end
  end
end
