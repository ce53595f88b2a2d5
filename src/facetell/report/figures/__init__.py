"""Drawing only: tables and arrays in, figures out; nothing here touches a model."""
