"""How each library is called: one file a library, one plain function a task.

Every function takes the problem, converts data to the library's own types and conventions, makes its plans, and gives
a `Task`: what is left to time. Importing a file here imports no library; calling a function does.
"""
