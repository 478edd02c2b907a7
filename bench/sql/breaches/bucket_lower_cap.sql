-- The members in Tokyo may send only 2 messages per day from now on.
UPDATE bucket.accounts SET per_day = 2 WHERE zone = 'Asia/Tokyo';
